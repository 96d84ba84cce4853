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

fn call() -> Call {
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
        route: "/v1/messages".to_owned(),
        streamed: false,
        features: Features::default(),
        worst: Worst { input_tokens: 10, output_tokens: 20, cost: Money(1_000) },
        priced_at: None,
        guarded: Vec::new(),
    }
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
            spool.begin(call).unwrap();
        }
        spool.finish(finished.id, &finish).unwrap();
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
        spool.begin(&finished).unwrap();
        spool.begin(&torn).unwrap();
        spool.finish(finished.id, &finish).unwrap();
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
        spool.begin(&known).unwrap();
        spool.finish(known.id, &finish).unwrap();
        spool.begin(&unknown).unwrap();
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
        spool.begin(&lost).unwrap();
        spool.begin(&known).unwrap();
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
        match spool.begin(&call) {
            Ok(place) => open.push((call.id, place)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    assert!(open.len() > 10, "{}", open.len());
    for (id, _) in &open {
        spool.finish(*id, &finish()).unwrap();
    }
    assert!(size() <= limit, "{} of {limit}", size());
    spool.booked(open.into_iter().map(|(_, place)| place));
    for _ in 0..1000 {
        let call = call();
        let place = spool.begin(&call).unwrap();
        spool.finish(call.id, &finish()).unwrap();
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
    let first = spool.begin(&call()).unwrap();
    spool.state.lock().room.wrote(FULL);
    let second = spool.begin(&call()).unwrap();
    assert_ne!(first, second);
    spool.state.lock().room.wrote(FULL);
    let third = spool.begin(&call()).unwrap();
    spool.booked([second]);
    assert_eq!(numbers(&folder.0).unwrap(), [1, 2, 3], "the first one is still needed");
    spool.booked([first]);
    assert_eq!(numbers(&folder.0).unwrap(), [3]);
    spool.booked([third]);
    assert_eq!(numbers(&folder.0).unwrap(), [3], "written to");
}
