//! What the content of a request holds: images, and things that are not in the body.

use std::{borrow::Cow, fmt, sync::LazyLock};

use memchr::memmem;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Images.
    pub images: bool,
    /// Files and documents: their tokens cannot be seen in the body.
    pub files: bool,
}

/// What content with images or files has in it: the words that begin a name of them, or an escape
/// that can spell a letter of one.
const MARKS: [&[u8]; 8] =
    [b"\"image", b"\"input_", b"\"computer_", b"\"file", b"\"document\"", b"\\u005", b"\\u006", b"\\u007"];

/// Made once: making one costs more than a look through a short text.
static FINDERS: LazyLock<[memmem::Finder<'static>; 8]> = LazyLock::new(|| MARKS.map(memmem::Finder::new));

/// Looks through content. Most of it mentions neither and is not parsed at all. Content that is
/// nested too deeply to be looked through holds everything: silence denies.
pub fn look(content: &str) -> Content {
    let mentioned = FINDERS.iter().any(|mark| mark.find(content.as_bytes()).is_some());
    let mut found = Content::default();
    if mentioned {
        let walk = Walk { key: "", found: &mut found };
        if walk.deserialize(&mut serde_json::Deserializer::from_str(content)).is_err() {
            return Content { images: true, files: true };
        }
    }
    found
}

/// Walks through a value that stands under a key.
struct Walk<'k, 'f> {
    key: &'k str,
    found: &'f mut Content,
}

/// A key or a text as it is meant, whatever escapes spell it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match (self.key, text) {
            ("type", "image" | "image_url" | "input_image" | "computer_screenshot") | ("image_url", _) => {
                self.found.images = true;
            }
            ("type", "file" | "input_file" | "document") | ("file_id" | "file_url", _) => {
                self.found.files = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.found.images |= self.key == "image_url";
        while let Some(Text(key)) = map.next_key()? {
            map.next_value_seed(Walk { key: &key, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Walk { key: "", found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(content: &str) -> bool {
        look(content).images
    }

    #[test]
    fn images_are_seen_however_they_are_written() {
        for content in [
            r#"[{"type":"image_url","image_url":{"url":"x"}}]"#,
            r#"[{"image_url":"x"}]"#,
            r#"[{"type" :  "image","source":{}}]"#,
            r#"[{"type":"im\u0061ge"}]"#,
            r#"[{"t\u0079pe":"input_im\u0061ge"}]"#,
            r#"[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]"#,
        ] {
            assert!(images(content), "{content}");
        }
        for content in
            [r#""an image""#, r#"[{"content":"image"}]"#, r#"[{"text":"\"type\":\"image\" \u0041"}]"#, "7"]
        {
            assert!(!images(content), "{content}");
        }
    }

    #[test]
    fn files_are_seen_by_name_and_by_id() {
        for content in [
            r#"[{"type":"document","source":{"type":"base64","data":"AAAA"}}]"#,
            r#"[{"type":"file","file":{"file_id":"f"}}]"#,
            r#"[{"type":"input_file","file_url":"x"}]"#,
        ] {
            assert_eq!(look(content), Content { files: true, images: false }, "{content}");
        }
        assert!(!look(r#"[{"content":"a file, a document"}]"#).files);
    }

    #[test]
    fn what_is_too_deep_to_be_seen_holds_everything() {
        let deep = format!("{}\"image\"{}", "[".repeat(300), "]".repeat(300));
        assert_eq!(look(&deep), Content { images: true, files: true });
    }
}
