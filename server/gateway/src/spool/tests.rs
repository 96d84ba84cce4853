use std::sync::atomic::AtomicU64;

use domain::{keys::Features, limits::Worst, money::Money, spend::Outcome, usage::Usage};

use super::*;

const LIMIT: u64 = 1 << 30;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("bursar-spool-{}", store::clock::id::<Uuid>())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn call() -> Call {
    use store::clock::id;
    Call {
        id: id(),
        org: id(),
        started_at: store::clock::now(),
        application: id(),
        key: id(),
        secret: id(),
        path: vec![id(), id()],
        user: None,
        member_of: Vec::new(),
        model: id(),
        provider: id(),
        authorization: None,
        beside: None,
        grant: None,
        policy: None,
        use_case: String::new(),
        session: String::new(),
        client_request: String::new(),
        route: "/v1/messages".to_owned(),
        streamed: false,
        features: Features::default(),
        worst: Worst { input_tokens: 10, output_tokens: 20, cost: Money(1_000) },
        priced_at: None,
        guarded: Vec::new(),
    }
}

/// Lets a call through that comes long after the one before it: nothing is gathered.
fn begin(spool: &Spool, call: &Call) -> io::Result<Place> {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    let at = Instant::now() + Duration::from_secs(SECONDS.fetch_add(1, Ordering::Relaxed));
    let (place, written) = spool.begin(call, at)?;
    assert_eq!(written.number(), None, "it is written already");
    Ok(place)
}

fn finish() -> Finish {
    Finish {
        finished_at: store::clock::now(),
        first_byte_ms: Some(5),
        duration_ms: 9,
        outcome: Outcome::Ok,
        status: 200,
        usage: Usage { input: 7, output: 3, ..Usage::default() },
        cost: Money(500),
        estimated: false,
        marks: store::ledger::Marks::default(),
    }
}

#[test]
fn a_process_that_died_is_remembered_call_by_call() {
    let folder = Folder::new();
    let (finished, unknown, released, finish) = (call(), call(), call(), finish());
    {
        let (spool, left) = Spool::open(&folder.0, LIMIT).unwrap();
        assert!(left.finished.is_empty() && left.unknown.is_empty());
        for call in [&finished, &unknown, &released] {
            begin(&spool, call).unwrap();
        }
        let _ = spool.finish(finished.id, &finish, false).unwrap();
        spool.release(released.id).unwrap();
    }
    let (spool, left) = Spool::open(&folder.0, LIMIT).unwrap();
    assert_eq!(left.finished, [Event::of(finished, finish)]);
    assert_eq!(left.unknown, [unknown]);
    spool.left_is_booked(&[]);
    drop(spool);
    let (_, left) = Spool::open(&folder.0, LIMIT).unwrap();
    assert!(left.finished.is_empty() && left.unknown.is_empty(), "booked is booked");
}

#[test]
fn a_torn_end_is_left_out_wherever_it_is_torn() {
    let folder = Folder::new();
    let (finished, torn, finish) = (call(), call(), finish());
    {
        let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
        begin(&spool, &finished).unwrap();
        begin(&spool, &torn).unwrap();
        let _ = spool.finish(finished.id, &finish, false).unwrap();
    }
    let bytes = fs::read(path(&folder.0, 1)).unwrap();
    let last = memchr::memrchr(b'\n', &bytes[..bytes.len() - 1]).unwrap() + 1;
    for end in last..bytes.len() - 1 {
        fs::write(path(&folder.0, 1), &bytes[..end]).unwrap();
        let left = torn::read(&folder.0, &[1]).unwrap();
        assert_eq!((left.finished.len(), left.unknown.len(), left.damaged.len()), (0, 2, 0), "cut at {end}");
    }
    let whole_but_for_its_line_feed = &bytes[..bytes.len() - 1];
    fs::write(path(&folder.0, 1), [whole_but_for_its_line_feed, b"?"].concat()).unwrap();
    assert_eq!(torn::read(&folder.0, &[1]).unwrap().finished, [Event::of(finished, finish)]);
}

#[test]
fn one_wrong_byte_loses_nothing() {
    let folder = Folder::new();
    let (known, unknown, finish) = (call(), call(), finish());
    {
        let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
        begin(&spool, &known).unwrap();
        let _ = spool.finish(known.id, &finish, false).unwrap();
        begin(&spool, &unknown).unwrap();
    }
    let bytes = fs::read(path(&folder.0, 1)).unwrap();
    let feed = memchr::memchr(b'\n', &bytes).unwrap();
    // In a checksum, behind it, in the record, and in place of a line feed or as one too many.
    for (at, value) in [(0, b'z'), (8, b'?'), (40, 0), (90, b'\n'), (feed, b'x'), (feed + 60, 0xff)] {
        let mut wrong = bytes.clone();
        wrong[at] = value;
        fs::write(path(&folder.0, 1), &wrong).unwrap();
        let left = torn::read(&folder.0, &[1]).unwrap();
        assert_eq!(left.finished, [Event::of(known.clone(), finish.clone())], "{value} at {at}");
        assert_eq!(
            (&left.unknown[..], &left.damaged[..]),
            (&[unknown.clone()][..], &[][..]),
            "{value} at {at}"
        );
    }
}

#[test]
fn damage_that_cannot_be_put_right_is_kept_and_gives_nothing_back() {
    let folder = Folder::new();
    let (lost, known) = (call(), call());
    let name = {
        let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
        begin(&spool, &lost).unwrap();
        begin(&spool, &known).unwrap();
        spool.replica
    };
    let mut bytes = fs::read(path(&folder.0, 1)).unwrap();
    bytes[50..60].fill(0);
    fs::write(path(&folder.0, 1), &bytes).unwrap();
    let (spool, left) = Spool::open(&folder.0, LIMIT).unwrap();
    assert_eq!((&left.unknown[..], &left.damaged[..]), (&[known][..], &[1][..]));
    assert_ne!(spool.replica, name, "what the old name has set aside for the lost call stays so");
    spool.left_is_booked(&left.damaged);
    assert_eq!(numbers(&folder.0).unwrap(), [2]);
    assert!(folder.0.join("calls-0000000001.damaged").exists());
}

#[test]
fn what_is_kept_stays_within_its_limit_and_what_is_open_can_always_end() {
    let folder = Folder::new();
    let limit = 64 << 10;
    let (spool, _) = Spool::open(&folder.0, limit).unwrap();
    let size = || -> u64 {
        let numbers = numbers(&folder.0).unwrap().into_iter();
        numbers.map(|number| fs::metadata(path(&folder.0, number)).unwrap().len()).sum()
    };
    let mut open = Vec::new();
    let refused = loop {
        let call = call();
        match begin(&spool, &call) {
            Ok(place) => open.push((call.id, place)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    assert!(open.len() > 10, "{}", open.len());
    for (id, _) in &open {
        let _ = spool.finish(*id, &finish(), false).unwrap();
    }
    assert!(size() <= limit, "{} of {limit}", size());
    spool.booked(open.into_iter().map(|(_, place)| place));
    for _ in 0..1000 {
        let call = call();
        let place = begin(&spool, &call).unwrap();
        let _ = spool.finish(call.id, &finish(), false).unwrap();
        spool.booked([place]);
        assert!(size() <= limit);
    }
}

#[test]
fn one_folder_serves_one_process_and_names_it_for_ever() {
    let folder = Folder::new();
    let (first, _) = Spool::open(&folder.0, LIMIT).unwrap();
    assert!(Spool::open(&folder.0, LIMIT).is_err(), "somebody is there");
    let name = first.replica;
    drop(first);
    assert_eq!(Spool::open(&folder.0, LIMIT).unwrap().0.replica, name);
}

#[test]
fn files_go_away_in_order_when_their_calls_are_booked() {
    let folder = Folder::new();
    let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
    let first = begin(&spool, &call()).unwrap();
    spool.state.lock().room.wrote(FULL);
    let second = begin(&spool, &call()).unwrap();
    assert_ne!(first, second);
    spool.state.lock().room.wrote(FULL);
    let third = begin(&spool, &call()).unwrap();
    spool.booked([second]);
    assert_eq!(numbers(&folder.0).unwrap(), [1, 2, 3], "the first one is still needed");
    spool.booked([first]);
    assert_eq!(numbers(&folder.0).unwrap(), [3]);
    spool.booked([third]);
    assert_eq!(numbers(&folder.0).unwrap(), [3], "written to");
}

/// Calls have come one upon the other until now.
fn crowded(spool: &Spool, at: Instant) {
    let mut state = spool.state.lock();
    (state.begun_at, state.apart) = (Some(at), Duration::ZERO);
}

#[tokio::test]
async fn what_is_gathered_is_written_by_the_first_whose_turn_it_is_and_before_anybody_goes_on() {
    let folder = Folder::new();
    let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
    let (at, calls) = (Instant::now(), [call(), call(), call(), call()]);
    let lines = || fs::read_to_string(path(&folder.0, 1)).unwrap().lines().count();
    // The first one comes alone.
    let (_, first) = spool.begin(&calls[0], at).unwrap();
    assert_eq!((first.number(), lines()), (None, 1));
    // It takes more than one that follows it closely to make a crowd.
    let (_, second) = spool.begin(&calls[1], at).unwrap();
    assert_eq!((second.number(), lines()), (None, 2));
    crowded(&spool, at);
    let crowd: Vec<Written> = calls[2..].iter().map(|call| spool.begin(call, at).unwrap().1).collect();
    let end = spool.finish(calls[0].id, &finish(), true).unwrap();
    assert_eq!(lines(), 2, "nobody's turn yet");
    let mut waiting = crowd.into_iter().chain([end]);
    spool.written(waiting.next().unwrap()).await.unwrap();
    assert_eq!(lines(), 5, "one for all");
    for record in waiting {
        spool.written(record).await.unwrap();
    }
    assert_eq!(lines(), 5);
    // Whoever does not wait for a turn takes the others along.
    let (_, late) = spool.begin(&call(), at).unwrap();
    spool.release(calls[1].id).unwrap();
    assert_eq!(lines(), 7);
    spool.written(late).await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_written_is_said_to_everybody_whose_it_was() {
    let folder = Folder::new();
    let (spool, _) = Spool::open(&folder.0, LIMIT).unwrap();
    let at = Instant::now();
    begin(&spool, &call()).unwrap();
    let before = fs::read(path(&folder.0, 1)).unwrap();
    // A file that cannot be written to.
    spool.state.lock().file = Arc::new(File::open(path(&folder.0, 1)).unwrap());
    crowded(&spool, at);
    let crowd = [call(), call()].map(|call| spool.begin(&call, at).unwrap().1);
    for record in crowd {
        spool.written(record).await.unwrap_err();
    }
    assert_eq!(fs::read(path(&folder.0, 1)).unwrap(), before, "nothing is half there");
    spool.state.lock().apart = PAUSE;
    assert!(begin(&spool, &call()).is_err(), "whoever comes alone hears of it at once");
}
