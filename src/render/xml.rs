//! XML as junit and pictures write it: every attribute and text escaped, and without what XML cannot hold.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// The attributes of an element.
pub(crate) type Attributes<'a> = &'a [(&'a str, String)];

/// A document on its way out.
pub(crate) struct Xml<'w>(Writer<&'w mut dyn Write>);

impl<'w> Xml<'w> {
    pub(crate) fn new(out: &'w mut dyn Write) -> Self {
        Self(Writer::new_with_indent(out, b' ', 2))
    }

    pub(crate) fn declaration(&mut self) -> io::Result<()> {
        let declaration = BytesDecl::new("1.0", Some("UTF-8"), None);
        self.0.write_event(Event::Decl(declaration))
    }

    pub(crate) fn open(&mut self, name: &str, attributes: Attributes) -> io::Result<()> {
        self.0.write_event(Event::Start(start(name, attributes)))
    }

    pub(crate) fn close(&mut self, name: &str) -> io::Result<()> {
        self.0.write_event(Event::End(BytesEnd::new(name)))
    }

    pub(crate) fn empty(&mut self, name: &str, attributes: Attributes) -> io::Result<()> {
        self.0.write_event(Event::Empty(start(name, attributes)))
    }

    pub(crate) fn text(
        &mut self,
        name: &str,
        attributes: Attributes,
        text: &str,
    ) -> io::Result<()> {
        let (start, text) = (start(name, attributes), clean(text));
        self.0.write_event(Event::Start(start))?;
        self.0.write_event(Event::Text(BytesText::new(&text)))?;
        self.close(name)
    }

    /// Text of our own, without `--`.
    pub(crate) fn comment(&mut self, text: &str) -> io::Result<()> {
        self.0
            .write_event(Event::Comment(BytesText::from_escaped(text)))
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        writeln!(self.0.into_inner())
    }
}

fn start<'a>(name: &'a str, attributes: Attributes) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        let value = clean(value).replace('\n', " ");
        start.push_attribute((*name, value.as_str()));
    }
    start
}

/// Without the characters that no XML document may hold, even escaped, and those that move a cursor.
fn clean(text: &str) -> String {
    let allowed = |character: &char| match character {
        '\n' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        character => !character.is_control(),
    };
    text.chars().filter(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_break_out() {
        let mut out = Vec::new();
        let mut xml = Xml::new(&mut out);
        let evil = "<a b=\"c\">&'\x1b[2J\0\n]]>\u{ffff}";
        xml.text("t", &[("n", evil.to_owned())], evil).unwrap();
        xml.finish().unwrap();
        let expected = "<t n=\"&lt;a b=&quot;c&quot;&gt;&amp;&apos;[2J ]]&gt;\">\
                        &lt;a b=&quot;c&quot;&gt;&amp;&apos;[2J\n]]&gt;</t>\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
