//! One macro for closed vocabularies: an enum whose variants have one text each, the same in the
//! database, in files, in addresses and on the wire.

/// Declares an enum with `ALL`, `as_str`, `FromStr`, `Display` and serde by its text.
macro_rules! words {
    ($(#[$doc:meta])* $Name:ident ($what:literal) { $($(#[$vdoc:meta])* $Variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $Name { $($(#[$vdoc])* #[serde(rename = $text)] $Variant,)+ }

        impl $Name {
            /// Every word, in the order people read them.
            pub const ALL: &'static [Self] = &[$(Self::$Variant,)+];

            /// The word as it is stored and written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $Name {
            type Err = $crate::names::NotAWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$Variant),)+
                    _ => Err($crate::names::NotAWord {
                        what: $what,
                        expected: &[$($text,)+],
                    }),
                }
            }
        }
    };
}

pub(crate) use words;
