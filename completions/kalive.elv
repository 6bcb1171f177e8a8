
set edit:completion:arg-completer[kalive] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) KALIVE_COMPLETE="elvish" kalive -- $@words) | to-lines
}

