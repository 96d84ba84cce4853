//! What a question leaves out: the things that a table names, so that the rest of it can be asked for.

use std::{fmt, str::FromStr};

use super::By;

/// How many things an address leaves out at most.
const MOST: usize = 100;

/// Things by what they are, as addresses write them: `application:app_…,app_…;user:-`. A comma, a semicolon
/// and a per cent sign within a label are written `%2C`, `%3B` and `%25`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without(Vec<(By, Vec<String>)>);

impl Without {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left out, by what it is: ids, labels, or [`super::NONE`].
    pub fn things(&self) -> impl Iterator<Item = (By, &[String])> {
        self.0.iter().map(|(by, keys)| (*by, keys.as_slice()))
    }

    /// The same without some more.
    #[must_use]
    pub fn and<'a>(mut self, by: By, keys: impl Iterator<Item = &'a str>) -> Self {
        let place = self.0.iter().position(|(other, _)| *other == by).unwrap_or_else(|| {
            self.0.push((by, Vec::new()));
            self.0.len() - 1
        });
        let listed = &mut self.0[place].1;
        for key in keys {
            if !listed.iter().any(|other| other == key) {
                listed.push(key.to_owned());
            }
        }
        self.0.retain(|(_, keys)| !keys.is_empty());
        self
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (by, keys)) in self.0.iter().enumerate() {
            let keys: Vec<String> = keys
                .iter()
                .map(|key| key.replace('%', "%25").replace(',', "%2C").replace(';', "%3B"))
                .collect();
            let between = if place > 0 { ";" } else { "" };
            write!(f, "{between}{by}:{}", keys.join(","))?;
        }
        Ok(())
    }
}

/// What an address leaves out cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl FromStr for Without {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut without = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (by, keys) = part.split_once(':').ok_or(Unreadable)?;
            let by: By = by.parse().map_err(|_| Unreadable)?;
            let keys: Vec<String> = keys
                .split(',')
                .filter(|key| !key.is_empty())
                .map(|key| key.replace("%3B", ";").replace("%2C", ",").replace("%25", "%"))
                .collect();
            // What overlaps has no rest: a call without some of its features is not a call without them.
            if by.overlaps() || keys.is_empty() {
                return Err(Unreadable);
            }
            without = without.and(by, keys.iter().map(String::as_str));
        }
        let count: usize = without.0.iter().map(|(_, keys)| keys.len()).sum();
        if count > MOST { Err(Unreadable) } else { Ok(without) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_written_and_read_back() {
        let labels = ["50%, off; now", "-"];
        let without = Without::default()
            .and(By::UseCase, labels.into_iter())
            .and(By::User, ["usr_1", "usr_2"].into_iter())
            .and(By::UseCase, ["-", "more"].into_iter());
        assert_eq!(without.to_string(), "use_case:50%25%2C off%3B now,-,more;user:usr_1,usr_2");
        assert_eq!(without.to_string().parse(), Ok(without));
        assert_eq!("".parse(), Ok(Without::default()));
        for text in ["user", "nothing:a", "user:", "feature:tools"] {
            assert_eq!(text.parse::<Without>(), Err(Unreadable), "{text}");
        }
    }
}
