//! Personal data by form and, wherever there is one, by checksum: a number that only looks like one
//! passes.

use std::sync::LazyLock;

use chrono::NaiveDate;
use domain::guardrails::Guard;
use regex::Regex;

use super::Hit;

/// A form that is looked for; none when it is no form, which tests rule out.
type Form = LazyLock<Option<Regex>>;

fn form(text: &str) -> Option<Regex> {
    Regex::new(text).inspect_err(|error| tracing::error!(%error, "a form cannot be looked for")).ok()
}

static EMAIL: Form = LazyLock::new(|| {
    form(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?-u:\b)")
});
static PHONE: Form = LazyLock::new(|| form(r"\+[1-9][0-9]{0,2}(?:[ ./()-]{0,2}[0-9]){6,13}(?-u:\b)"));
static IBAN: Form = LazyLock::new(|| form(r"(?-u:\b)[A-Z]{2}[0-9]{2}"));
static CARD: Form = LazyLock::new(|| {
    form(r"(?-u:\b)(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})(?-u:\b)")
});
static NATIONAL: Form = LazyLock::new(|| {
    form(concat!(
        r"(?-u:\b)(?:",
        r"([0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2})",
        r"|([0-9]{17}[0-9Xx])",
        r"|([A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])",
        r"|([12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})",
        r"|([0-9]{6}[-+][0-9]{4})",
        r")(?-u:\b)"
    ))
});

/// Whether a text of the right form has the right checksum.
type Check = fn(&str) -> bool;

/// Names of files that stand where a domain would end.
const FILES: [&str; 8] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "avif"];

fn hit(found: regex::Match<'_>, guard: Guard, name: &'static str) -> Hit {
    Hit { start: found.start(), end: found.end(), guard, name }
}

/// The byte before a place, and the one behind another.
fn around(text: &str, found: &regex::Match<'_>) -> (u8, u8) {
    let bytes = text.as_bytes();
    let before = found.start().checked_sub(1).and_then(|at| bytes.get(at));
    (before.copied().unwrap_or(b' '), bytes.get(found.end()).copied().unwrap_or(b' '))
}

pub(super) fn emails(text: &str, hits: &mut Vec<Hit>) {
    if memchr::memchr(b'@', text.as_bytes()).is_none() {
        return;
    }
    for found in EMAIL.iter().flat_map(|form| form.find_iter(text)) {
        let (local, domain) = found.as_str().split_once('@').unwrap_or_default();
        let (before, behind) = around(text, &found);
        // Where a repository is, a password in an address, a picture for sharp screens.
        let is_place = (local == "git" && behind == b':') || matches!(before, b':' | b'/');
        let is_file = domain.rsplit('.').next().is_some_and(|end| FILES.contains(&end));
        if !is_place && !is_file {
            hits.push(hit(found, Guard::Email, "e-mail address"));
        }
    }
}

pub(super) fn phones(text: &str, hits: &mut Vec<Hit>) {
    for found in PHONE.iter().flat_map(|form| form.find_iter(text)) {
        let digits = digits(found.as_str());
        let apart = found.as_str().len() > digits.len() + 1;
        // Without anything between the digits it may as well be a sum or a moment.
        let fits = match (apart, digits.first()) {
            (_, Some(1)) => digits.len() == 11,
            (true, _) => (8..=15).contains(&digits.len()),
            (false, _) => (11..=15).contains(&digits.len()),
        };
        let (before, _) = around(text, &found);
        if fits && !before.is_ascii_alphanumeric() && !b"+.=_".contains(&before) {
            hits.push(hit(found, Guard::Phone, "telephone number"));
        }
    }
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

/// Countries and how long their account numbers are, from the register of the standard (ISO 13616).
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 \
    ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 \
    LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 \
    SK24 SM27 SV28 TN24 TR26 UA29 VA22 VG24 XK20";

pub(super) fn ibans(text: &str, hits: &mut Vec<Hit>) {
    for found in IBAN.iter().flat_map(|form| form.find_iter(text)) {
        let country = &found.as_str()[..2];
        let length = IBANS
            .split_ascii_whitespace()
            .find_map(|entry| entry.strip_prefix(country)?.parse::<usize>().ok());
        let Some(end) = length.and_then(|length| end_of(&text[found.start()..], length)) else { continue };
        let end = found.start() + end;
        if is_iban(&text[found.start()..end]) {
            hits.push(Hit { start: found.start(), end, guard: Guard::Iban, name: "bank account" });
        }
    }
}

/// Where so many letters and digits end, with single spaces between them; none when there are fewer,
/// or when the word goes on.
fn end_of(text: &str, length: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut count, mut at) = (0, 0);
    while count < length {
        match *bytes.get(at)? {
            byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => count += 1,
            b' ' if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        at += 1;
    }
    (!bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
}

fn is_iban(text: &str) -> bool {
    let letters: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(36)).collect();
    let (head, rest) = letters.split_at(letters.len().min(4));
    let rest = rest.iter().chain(head).fold(0, |rest, &value| {
        let places = if value > 9 { 100 } else { 10 };
        (rest * places + value) % 97
    });
    rest == 1
}

pub(super) fn cards(text: &str, hits: &mut Vec<Hit>) {
    for found in CARD.iter().flat_map(|form| form.find_iter(text)) {
        let (before, behind) = around(text, &found);
        // Part of a longer number, or of an id in pieces.
        let is_part = b".-".contains(&before) || behind == b'-';
        if !is_part && is_card(&digits(found.as_str())) {
            hits.push(hit(found, Guard::Card, "payment card"));
        }
    }
}

fn is_card(digits: &[u32]) -> bool {
    let prefix = |places: usize| digits.iter().take(places).fold(0, |sum, digit| sum * 10 + digit);
    let network = match digits.len() {
        13 | 19 if prefix(1) == 4 => true,
        14 => matches!(prefix(3), 300..=305 | 360..=369 | 380..=389),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            prefix(1) == 4
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(3), 644..=649)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011)
        }
        _ => false,
    };
    network && luhn(digits)
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

pub(super) fn national_ids(text: &str, hits: &mut Vec<Hit>) {
    /// Checks and names, in the order of the groups of the form.
    const KINDS: [(Check, &str); 5] = [
        (is_brazilian, "CPF of Brazil"),
        (is_chinese, "resident id of China"),
        (is_italian, "codice fiscale of Italy"),
        (is_french, "NIR of France"),
        (is_swedish, "personnummer of Sweden"),
    ];
    for groups in NATIONAL.iter().flat_map(|form| form.captures_iter(text)) {
        for ((check, name), group) in KINDS.iter().zip(groups.iter().skip(1)) {
            if let Some(found) = group.filter(|found| check(found.as_str())) {
                hits.push(hit(found, Guard::NationalId, name));
            }
        }
    }
}

fn is_brazilian(text: &str) -> bool {
    let digits = digits(text);
    let check = |count: usize| {
        let sum: u32 = digits.iter().take(count).zip((2..=count as u32 + 1).rev()).map(|(a, b)| a * b).sum();
        sum * 10 % 11 % 10
    };
    let all_alike = digits.windows(2).all(|pair| pair[0] == pair[1]);
    digits.len() == 11 && !all_alike && check(9) == digits[9] && check(10) == digits[10]
}

fn is_chinese(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits(&text[..17]).iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let Some(check) = b"10X98765432".get(sum as usize % 11) else { return false };
    let born = NaiveDate::parse_from_str(&text[6..14], "%Y%m%d");
    let lived = text[6..10].parse::<u32>().is_ok_and(|year| (1900..2100).contains(&year));
    born.is_ok() && lived && text.as_bytes()[17].to_ascii_uppercase() == *check
}

fn is_italian(text: &str) -> bool {
    /// What a letter or digit counts in an odd place.
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let value =
        |letter: char| letter.to_digit(36).map_or(0, |value| if value > 9 { value - 10 } else { value });
    let sum: u32 = text
        .chars()
        .take(15)
        .enumerate()
        .map(|(place, letter)| match place % 2 {
            0 => ODD.get(value(letter) as usize).copied().unwrap_or_default(),
            _ => value(letter),
        })
        .sum();
    text.chars().nth(15).and_then(|letter| letter.to_digit(36)) == Some(sum % 26 + 10)
}

fn is_french(text: &str) -> bool {
    let plain: String = text.chars().filter(|letter| *letter != ' ').collect();
    let (number, key) = plain.split_at(plain.len().saturating_sub(2));
    // Corsica counts as if it had numbers.
    let number = number.replace("2A", "19").replace("2B", "18");
    match (number.parse::<u64>(), key.parse::<u64>()) {
        (Ok(number), Ok(key)) => number % 97 + key == 97,
        _ => false,
    }
}

fn is_swedish(text: &str) -> bool {
    let born =
        |century: &str| NaiveDate::parse_from_str(&format!("{century}{}", &text[..6]), "%Y%m%d").is_ok();
    (born("19") || born("20")) && luhn(&digits(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_forms() {
        assert!([&EMAIL, &PHONE, &IBAN, &CARD, &NATIONAL].iter().all(|form| form.is_some()));
    }

    #[test]
    fn every_country_has_a_length() {
        assert!(
            IBANS
                .split_ascii_whitespace()
                .all(|entry| entry.len() == 4 && entry[2..].parse::<usize>().is_ok())
        );
    }

    #[test]
    fn a_french_number_has_its_key() {
        let number = 2_550_814_168_025_u64;
        let key = 97 - number % 97;
        assert!(is_french(&format!("{number}{key:02}")));
        assert!(!is_french(&format!("{number}{:02}", (key + 1) % 97)));
    }
}
