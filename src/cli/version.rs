//! What `-V` and `--version` say, from what the build script has found out.

/// The version and, where it is known, the commit.
pub(super) fn short() -> String {
    let version = env!("CARGO_PKG_VERSION");
    option_env!("KALIVE_COMMIT").map_or_else(
        || version.to_owned(),
        |commit| format!("{version} ({commit})"),
    )
}

/// The version, and a line each for what it was built from.
pub(super) fn long() -> String {
    let mut lines = vec![env!("CARGO_PKG_VERSION").to_owned()];
    lines.extend(option_env!("KALIVE_COMMIT").map(|commit| {
        let date = option_env!("KALIVE_COMMIT_DATE").map(|date| format!(" ({date})"));
        format!("commit: {commit}{}", date.unwrap_or_default())
    }));
    lines.push(concat!("target: ", env!("KALIVE_TARGET")).to_owned());
    let features = match env!("KALIVE_FEATURES") {
        "" => "none",
        some => some,
    };
    lines.push(format!("features: {features}"));
    lines.join("\n")
}
