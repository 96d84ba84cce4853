//! Records of the spool as lines: eight digits of checksum, a space, the record, a line feed.
//!
//! A record begins with a letter for its kind and a digit for how it is written; the rest is binary,
//! in base 64: lines stay lines, so that a torn one or a wrong byte does not swallow its neighbours.
//! A record that begins with a brace is from before that, and is JSON.

use std::{borrow::Cow, io, sync::LazyLock};

use base64::{
    Engine as _,
    engine::{Simd, general_purpose::NO_PAD},
};
use chrono::{DateTime, Utc};
use domain::{
    guardrails::Found,
    ids::{
        ApplicationId, AuthorizationId, CallId, GrantId, GroupId, KeyId, ModelId, OrgId, PolicyId,
        ProviderId, SecretId, UserId,
    },
    keys::Features,
    limits::Worst,
    money::Money,
    usage::{ToolUnits, Usage},
};
use serde::{Deserialize, Serialize};
use store::ledger::{Call, Finish, Marks};

/// How records are written. Another way of writing them has another digit, and this one is read
/// for as long as a file of it may be found.
const FORMAT: u8 = b'1';

/// The checksum and the space.
const HEAD: usize = 9;

/// Kind and format.
const MARK: usize = 2;

const BEGUN: u8 = b'b';
const FINISHED: u8 = b'f';
const RELEASED: u8 = b'r';

/// Many bytes at a time, where the processor can.
static BASE_64: LazyLock<Simd> = LazyLock::new(|| Simd::standard(NO_PAD));

/// What is read back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Begun(Box<Call>),
    Finished { id: CallId, finish: Finish },
    Released(CallId),
}

/// Seconds and nanoseconds.
type Moment = (i64, u32);

/// A call as it is written: nothing in it depends on how other code is arranged.
#[derive(Debug, Serialize, Deserialize)]
struct Begun<'a> {
    id: CallId,
    org: OrgId,
    started_at: Moment,
    application: ApplicationId,
    key: KeyId,
    secret: SecretId,
    path: Cow<'a, [GroupId]>,
    user: Option<UserId>,
    member_of: Cow<'a, [GroupId]>,
    model: ModelId,
    provider: ProviderId,
    authorization: Option<AuthorizationId>,
    beside: Option<AuthorizationId>,
    grant: Option<GrantId>,
    policy: Option<PolicyId>,
    use_case: Cow<'a, str>,
    session: Cow<'a, str>,
    route: Cow<'a, str>,
    streamed: bool,
    features: Features,
    worst: (u64, u64, i64),
    priced_at: Option<Moment>,
    /// As words: few calls have any.
    guarded: Vec<String>,
}

/// What stands behind a call since: an older version of the program does not read that far, and what
/// such a one wrote ends before it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct More<'a> {
    client_request: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Finished<'a> {
    id: CallId,
    finished_at: Moment,
    first_byte_ms: Option<i32>,
    duration_ms: i32,
    outcome: Cow<'a, str>,
    status: u16,
    /// In the order of [`counts`]; what is missing at the end is zero.
    usage: Cow<'a, [u64]>,
    cost: i64,
    estimated: bool,
    cached: Option<i64>,
    answer: Option<Cow<'a, str>>,
}

fn moment(at: DateTime<Utc>) -> Moment {
    (at.timestamp(), at.timestamp_subsec_nanos())
}

fn time((seconds, nanos): Moment) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, nanos)
}

/// New ones go to the end.
const fn counts(usage: &Usage) -> [u64; 12] {
    let &Usage {
        input,
        cache_read,
        cache_write,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
        images,
        tools: ToolUnits { web_searches, file_searches, code_sessions },
    } = usage;
    [
        input,
        cache_read,
        cache_write,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
        images,
        web_searches,
        file_searches,
        code_sessions,
    ]
}

fn usage(counts: &[u64]) -> Usage {
    let count = |place: usize| counts.get(place).copied().unwrap_or_default();
    Usage {
        input: count(0),
        cache_read: count(1),
        cache_write: count(2),
        cache_write_long: count(3),
        output: count(4),
        reasoning: count(5),
        audio_input: count(6),
        audio_output: count(7),
        images: count(8),
        tools: ToolUnits { web_searches: count(9), file_searches: count(10), code_sessions: count(11) },
    }
}

impl<'a> Begun<'a> {
    fn of(call: &'a Call) -> Self {
        let Worst { input_tokens, output_tokens, cost } = call.worst;
        Self {
            id: call.id,
            org: call.org,
            started_at: moment(call.started_at),
            application: call.application,
            key: call.key,
            secret: call.secret,
            path: Cow::Borrowed(&call.path),
            user: call.user,
            member_of: Cow::Borrowed(&call.member_of),
            model: call.model,
            provider: call.provider,
            authorization: call.authorization,
            beside: call.beside,
            grant: call.grant,
            policy: call.policy,
            use_case: Cow::Borrowed(&call.use_case),
            session: Cow::Borrowed(&call.session),
            route: Cow::Borrowed(&call.route),
            streamed: call.streamed,
            features: call.features,
            worst: (input_tokens, output_tokens, cost.0),
            priced_at: call.priced_at.map(moment),
            guarded: call.guarded.iter().map(ToString::to_string).collect(),
        }
    }

    fn call(self, more: More<'_>) -> Option<Call> {
        let (input_tokens, output_tokens, cost) = self.worst;
        Some(Call {
            id: self.id,
            org: self.org,
            started_at: time(self.started_at)?,
            application: self.application,
            key: self.key,
            secret: self.secret,
            path: self.path.into_owned(),
            user: self.user,
            member_of: self.member_of.into_owned(),
            model: self.model,
            provider: self.provider,
            authorization: self.authorization,
            beside: self.beside,
            grant: self.grant,
            policy: self.policy,
            use_case: self.use_case.into_owned(),
            session: self.session.into_owned(),
            client_request: more.client_request.into_owned(),
            route: self.route.into_owned(),
            streamed: self.streamed,
            features: self.features,
            worst: Worst { input_tokens, output_tokens, cost: Money(cost) },
            priced_at: match self.priced_at {
                Some(at) => Some(time(at)?),
                None => None,
            },
            guarded: self.guarded.iter().map(|word| word.parse::<Found>().ok()).collect::<Option<_>>()?,
        })
    }
}

impl<'a> Finished<'a> {
    fn of(id: CallId, finish: &'a Finish, counts: &'a [u64]) -> Self {
        Self {
            id,
            finished_at: moment(finish.finished_at),
            first_byte_ms: finish.first_byte_ms,
            duration_ms: finish.duration_ms,
            outcome: Cow::Borrowed(finish.outcome.as_str()),
            status: finish.status,
            usage: Cow::Borrowed(counts),
            cost: finish.cost.0,
            estimated: finish.estimated,
            cached: finish.marks.cached.map(|saved| saved.0),
            answer: finish.marks.answer.as_deref().map(Cow::Borrowed),
        }
    }

    fn finish(self) -> Option<Finish> {
        Some(Finish {
            finished_at: time(self.finished_at)?,
            first_byte_ms: self.first_byte_ms,
            duration_ms: self.duration_ms,
            outcome: self.outcome.parse().ok()?,
            status: self.status,
            usage: usage(&self.usage),
            cost: Money(self.cost),
            estimated: self.estimated,
            marks: Marks { cached: self.cached.map(Money), answer: self.answer.map(Cow::into_owned) },
        })
    }
}

/// Room to write lines in, so that none is asked for with every record.
#[derive(Debug, Default)]
pub struct Line {
    binary: Vec<u8>,
    text: Vec<u8>,
}

impl Line {
    /// What was composed last.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// That a call was let through.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn begun(&mut self, call: &Call) -> io::Result<()> {
        let more = More { client_request: Cow::Borrowed(&call.client_request) };
        self.compose(BEGUN, &(Begun::of(call), more))
    }

    /// How it ended.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn finished(&mut self, id: CallId, finish: &Finish) -> io::Result<()> {
        let counts = counts(&finish.usage);
        // Mostly only the first ones are not zero.
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.compose(FINISHED, &Finished::of(id, finish, &counts[..used]))
    }

    /// That it never reached its provider.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn released(&mut self, id: CallId) -> io::Result<()> {
        self.compose(RELEASED, &id)
    }

    fn compose(&mut self, kind: u8, record: &impl Serialize) -> io::Result<()> {
        let mut binary = std::mem::take(&mut self.binary);
        binary.clear();
        self.binary = postcard::to_extend(record, binary).map_err(io::Error::other)?;
        let longest = HEAD + MARK + self.binary.len().div_ceil(3) * 4 + 1;
        self.text.clear();
        self.text.resize(longest, b' ');
        self.text[HEAD..HEAD + MARK].copy_from_slice(&[kind, FORMAT]);
        let rest = &mut self.text[HEAD + MARK..];
        let written = BASE_64.encode_slice(&self.binary, rest).map_err(io::Error::other)?;
        self.text.truncate(HEAD + MARK + written);
        let sum = crc32fast::hash(&self.text[HEAD..]);
        for (place, digit) in self.text[..HEAD - 1].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(sum >> (28 - 4 * place) & 15) as usize];
        }
        self.text.push(b'\n');
        Ok(())
    }
}

/// A line with its line feed; none if it is not whole.
pub fn parse(line: &[u8]) -> Option<Record> {
    let (sum, record) = line.strip_suffix(b"\n")?.split_at_checked(HEAD)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(record)).then_some(())?;
    if record.first() == Some(&b'{') {
        return serde_json::from_slice(record).ok();
    }
    let &[kind, FORMAT, ref text @ ..] = record else { return None };
    let binary = BASE_64.decode(text).ok()?;
    match kind {
        BEGUN => {
            let (begun, rest) = postcard::take_from_bytes::<Begun<'_>>(&binary).ok()?;
            let more = if rest.is_empty() { More::default() } else { postcard::from_bytes(rest).ok()? };
            Some(Record::Begun(Box::new(begun.call(more)?)))
        }
        FINISHED => {
            let finished: Finished<'_> = postcard::from_bytes(&binary).ok()?;
            Some(Record::Finished { id: finished.id, finish: finished.finish()? })
        }
        RELEASED => postcard::from_bytes(&binary).ok().map(Record::Released),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_older_version_are_read() {
        let id: CallId = store::clock::id();
        let json = format!(r#"{{"released":"{id}"}}"#);
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        assert!(matches!(parse(line.as_bytes()), Some(Record::Released(read)) if read == id));
    }

    #[test]
    fn a_call_that_an_older_version_wrote_is_read_and_an_older_one_reads_ours() {
        let call = crate::spool::tests::call();
        let mut line = Line::default();
        line.compose(BEGUN, &Begun::of(&call)).unwrap();
        assert!(matches!(parse(line.bytes()), Some(Record::Begun(read)) if *read == call));
        let named = Call { client_request: "theirs-7".to_owned(), ..call };
        line.begun(&named).unwrap();
        assert!(matches!(parse(line.bytes()), Some(Record::Begun(read)) if *read == named));
        let binary =
            BASE_64.decode(line.bytes().strip_suffix(b"\n").unwrap().get(HEAD + MARK..).unwrap()).unwrap();
        let older: Begun<'_> = postcard::from_bytes(&binary).unwrap();
        assert_eq!(older.id, named.id);
    }
}
