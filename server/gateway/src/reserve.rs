//! Step 3: is there room in every limit that applies?
//!
//! The worst case of the call is held in all of them, or in none. A maximum that the caller left
//! out becomes the model's; one that does not fit, but still leaves something useful, is lowered.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::{
    access::{Verdict, applicable},
    leases::{Claim, Short},
    limits::{Bucket, Level, Meter, Metric, Mode, Scope, Shortage, Worst},
    money::Money,
    prices::{self, Prices},
    window::Window,
};
use serde_json::json;
use store::ledger::{self, Call, Observer};

use crate::{
    Gateway,
    authorize::{self, Authorized},
    leases::Reserved,
    settle::Books,
    snapshot::Snapshot,
    wire::{
        refusal::{Detail, Kind, Refusal},
        request::Request,
    },
};

const NO_RESERVATION: &str =
    "Bursar cannot reserve this call's cost right now, so it does not let it through. Try again in a moment.";

/// Output tokens that are worth making a call for.
const USEFUL: u64 = 16;

/// The maximum of a model that has none in the catalogue; it is written into the call, so that the
/// upstream cannot answer with more.
const UNKNOWN_MAXIMUM: u64 = 32_768;

/// A call with its worst case held in every limit, and written down.
#[derive(Debug)]
pub struct Held {
    pub authorized: Authorized,
    pub books: Books,
    /// The maximum that has to be written into the call.
    pub max_output: Option<u64>,
    /// Whether that is less than the caller asked for.
    pub lowered: bool,
    /// What each limit had used and held before this call.
    pub levels: Vec<(Claim, Level)>,
}

/// Reserves. `free`: the provider will not be asked, so that only the call itself counts.
pub async fn reserve(
    gateway: &Arc<Gateway>,
    authorized: Authorized,
    started: Instant,
    free: bool,
) -> Result<Held, Refusal> {
    let id = authorized.caller.id;
    let unavailable = |what: &str| Refusal::new(Kind::Unavailable, id, what);
    let Some((model, prices)) = authorized.model().zip(authorized.prices().copied()) else {
        return Err(unavailable("This model's price changed while the call came in. Try again."));
    };
    let ceiling = model.max_output_tokens.or(model.context_tokens).unwrap_or(UNKNOWN_MAXIMUM);
    let asked = authorized.request.max_output;
    let mut most = asked.unwrap_or(ceiling).min(ceiling);
    let observed_rule = authorize::observed(&authorized);
    let mut call = describe(&authorized);
    call.beside = observed_rule.filter(|rule| rule.verdict == Verdict::Allow).map(|rule| rule.rule);
    let mut refused: Option<Vec<Short>> = None;
    // At most twice: with what was asked, then with what fits.
    for _ in 0..2 {
        call.worst = match free {
            true => Worst::default(),
            false => worst(&authorized, &prices, most)
                .ok_or_else(|| unavailable("This call's cost cannot be computed."))?,
        };
        let claims = claims(&authorized.caller.snapshot, &call);
        let reserved = gateway.leases.reserve(&gateway.store, call.org, &claims).await.map_err(|error| {
            tracing::warn!(%error, call = %id, "a reservation could not be made");
            unavailable(NO_RESERVATION)
        })?;
        match reserved {
            Reserved::Held { reservation, levels, observed } => {
                for short in &observed {
                    let would = refusal(gateway, &authorized, short, &call.worst);
                    gateway.observed(&authorized, &would, limit_of(&authorized, &short.claim.bucket.meter));
                }
                let would = observed_rule.and_then(|rule| authorize::would_refuse(&authorized, &rule));
                if let Some((would, rule)) = would {
                    gateway.observed(&authorized, &would, Some(Observer::Rule(rule)));
                }
                let not_written = |error: std::io::Error| {
                    tracing::error!(%error, call = %id, "a call could not be written down; it is not let through");
                    unavailable(NO_RESERVATION)
                };
                let (place, written) = gateway.spool.begin(&call, started).map_err(|error| {
                    gateway.leases.settle(call.org, &reservation, |_| 0);
                    not_written(error)
                })?;
                let lowered = asked.is_some_and(|asked| most < asked) || (asked.is_none() && most < ceiling);
                let max_output = (asked != Some(most)).then_some(most);
                let books = Books::open(Arc::clone(gateway), &authorized, call, reservation, place, started);
                if let Err(error) = gateway.spool.written(written).await {
                    books.release();
                    return Err(not_written(error));
                }
                return Ok(Held { authorized, books, max_output, lowered, levels });
            }
            Reserved::Short(short) => {
                let fits = fitting_output(&short, &call.worst, &prices, &authorized.request);
                refused = Some(short);
                match fits.filter(|fits| *fits >= USEFUL.min(most) && *fits < most) {
                    Some(fits) => most = fits,
                    None => break,
                }
            }
        }
    }
    let short = refused.unwrap_or_default();
    match tightest(&short) {
        Some(first) => {
            let mut refusal = refusal(gateway, &authorized, first, &call.worst);
            // This call holds nothing of what is left.
            let left = |short: &Short| (Claim { amount: 0, ..short.claim }, short.level);
            refusal.detail.short = short.iter().map(left).collect();
            Err(refusal)
        }
        None => Err(unavailable("This call could not be reserved. Try again.")),
    }
}

/// The limit on a meter.
fn limit_of(authorized: &Authorized, meter: &Meter) -> Option<Observer> {
    let limits = authorized.caller.snapshot.facts.limits.get(&meter.scope)?;
    limits.iter().find(|limit| limit.meter == *meter)?.id.map(Observer::Limit)
}

/// Who calls what, for the hold and the ledger.
fn describe(authorized: &Authorized) -> Call {
    let Authorized { caller, request, route, model, policy, decision } = authorized;
    let facts = &caller.snapshot.facts;
    let application = caller.application();
    let group = application.map(|application| application.group);
    Call {
        id: caller.id,
        org: facts.org,
        started_at: caller.now,
        application: caller.secret.application,
        key: application.map_or_else(|| uuid::Uuid::nil().into(), |application| application.key),
        secret: caller.secret.id,
        path: group.and_then(|id| facts.groups.get(&id)).map(|group| group.path.clone()).unwrap_or_default(),
        user: caller.secret.user,
        member_of: caller
            .secret
            .user
            .and_then(|id| facts.users.get(&id))
            .map(|user| ledger::member_of(facts, user, caller.now))
            .unwrap_or_default(),
        model: *model,
        provider: authorized.model().map_or_else(|| uuid::Uuid::nil().into(), |model| model.provider),
        authorization: decision.rule,
        beside: None,
        grant: decision.grant,
        policy: *policy,
        use_case: authorized.use_case().unwrap_or_default().to_owned(),
        session: request.session.as_deref().unwrap_or_default().chars().take(128).collect(),
        client_request: caller.client_request.clone(),
        route: route.full_path().to_owned(),
        streamed: request.stream,
        features: request.features,
        worst: Worst::default(),
        priced_at: authorized
            .model()
            .and_then(|model| prices::in_force(&model.prices, caller.now))
            .map(|dated| dated.from),
        guarded: request.guarded.clone(),
    }
}

/// The most this call can use with this maximum of output per choice.
fn worst(authorized: &Authorized, prices: &Prices, most: u64) -> Option<Worst> {
    let context = authorized.model().and_then(|model| model.context_tokens);
    let input_tokens = authorized.request.most_input(context);
    let output_tokens = most.checked_mul(authorized.request.choices)?;
    let pieces = authorized.request.tools.most();
    Some(Worst {
        input_tokens,
        output_tokens,
        cost: prices::ceiling(input_tokens, output_tokens, pieces, prices)?,
    })
}

fn claims(snapshot: &Snapshot, call: &Call) -> Vec<Claim> {
    applicable(&snapshot.facts, &call.subject())
        .into_iter()
        .map(|applied| {
            let span = snapshot.span(applied.meter.window, call.started_at);
            Claim {
                bucket: Bucket::of(applied.meter, span),
                amount: call.worst.amount(applied.meter.metric),
                cap: applied.cap,
                enforced: applied.mode == Mode::Enforce,
            }
        })
        // Free calls do not need money: an exhausted budget does not close a free model.
        .filter(|claim| claim.amount > 0 || claim.bucket.meter.metric != Metric::Spend)
        .collect()
}

/// The most output per choice that fits into what is left of the limits that had no room.
fn fitting_output(short: &[Short], worst: &Worst, prices: &Prices, request: &Request) -> Option<u64> {
    let input_cost = prices::ceiling(worst.input_tokens, 0, request.tools.most(), prices)?;
    short
        .iter()
        .map(|short| {
            let room = short.level.room(short.claim.cap);
            match short.claim.bucket.meter.metric {
                Metric::Spend => {
                    let left = i128::from(Money(room).less(input_cost).0) * 1_000_000;
                    let price = i128::from(prices::dearest_output(prices).0);
                    u64::try_from(left.checked_div(price)?).ok()
                }
                Metric::Tokens => u64::try_from(room).ok()?.checked_sub(worst.input_tokens),
                Metric::OutputTokens => u64::try_from(room).ok(),
                Metric::Requests | Metric::InputTokens | Metric::ConcurrentCalls => None,
            }
            .map(|tokens| tokens / request.choices)
        })
        .min()
        .flatten()
}

/// The limit to tell about: one that is used up before one that is busy, and of those the one that
/// takes longest to come back.
fn tightest(short: &[Short]) -> Option<&Short> {
    short.iter().max_by_key(|short| {
        (
            short.shortage == Shortage::Exceeded,
            short.claim.bucket.meter.window,
            short.claim.bucket.meter.scope,
        )
    })
}

fn refusal(gateway: &Gateway, authorized: &Authorized, short: &Short, worst: &Worst) -> Refusal {
    let caller = &authorized.caller;
    let facts = &caller.snapshot.facts;
    let Meter { scope, metric, window } = short.claim.bucket.meter;
    let too_large = is_too_large(short, worst);
    let kind = match (short.shortage, metric) {
        (_, Metric::ConcurrentCalls) => Kind::RateLimited,
        // No waiting helps: clients that try again by themselves are not to.
        (_, Metric::Spend) if too_large => Kind::BudgetExceeded,
        _ if too_large => Kind::QuotaExceeded,
        (Shortage::Busy, _) => Kind::Busy,
        (Shortage::Exceeded, _) if window.is_short() => Kind::RateLimited,
        (Shortage::Exceeded, Metric::Spend) => Kind::BudgetExceeded,
        (Shortage::Exceeded, _) => Kind::QuotaExceeded,
    };
    let name = facts.scope_name(scope);
    let request_url = request_url(gateway, kind, authorized, &short.claim.bucket.meter);
    // A lead does not raise a limit on money: whoever may is told of what is asked for there.
    let raises = kind == Kind::BudgetExceeded && !matches!(scope, Scope::Grant(_));
    let contact = match raises {
        true => facts.contact.clone(),
        false => facts.contact_for(caller.application().map(|application| application.group)),
    };
    let mut message = sentence(short, &name, worst, facts.calendar.zone);
    if raises {
        message += &format!(" Ask for more at {request_url}");
    } else if kind != Kind::Busy
        && let Some(contact) = &contact
    {
        message += &format!(" Ask {contact}.");
    }
    let mut refusal = Refusal::new(kind, caller.id, message);
    if matches!(kind, Kind::BudgetExceeded | Kind::QuotaExceeded) {
        refusal.status = http::StatusCode::from_u16(facts.budget_status.code()).unwrap_or(refusal.status);
    }
    refusal.retry_after = match kind {
        Kind::Busy => Some(1),
        Kind::RateLimited if metric == Metric::ConcurrentCalls => Some(1),
        Kind::RateLimited => short.claim.bucket.ends_at.map(|end| seconds_until(end, store::clock::now())),
        _ => None,
    };
    let figure = |amount: i64| match metric {
        Metric::Spend => json!(Money(amount).exact()),
        _ => json!(amount),
    };
    refusal.detail = Box::new(Detail {
        reason: kind.code().to_owned(),
        scope: Some(scope.kind().as_str()),
        scope_id: Some(scope.id().unwrap_or_else(|| facts.org.to_string())),
        scope_name: Some(name),
        metric: Some(metric.as_str()),
        window: (metric != Metric::ConcurrentCalls).then_some(window.as_str()),
        cap: Some(figure(short.claim.cap)),
        used: Some(figure(short.level.settled)),
        reserved: Some(figure(short.level.held)),
        needs: Some(figure(worst.amount(metric))),
        resets_at: short
            .claim
            .bucket
            .ends_at
            .map(|end| end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        ended_on: None,
        request_url: Some(request_url),
        contact,
        found: Vec::new(),
        skipped: Vec::new(),
        request_id: caller.id.to_string(),
        short: Vec::new(),
    });
    refusal
}

/// Where somebody asks for more: for a limit on money that it be raised, for the money of a grant that there
/// be another one. What waiting helps with leads to why, for whoever has the request id.
fn request_url(gateway: &Gateway, kind: Kind, authorized: &Authorized, meter: &Meter) -> String {
    let base = &gateway.settings.public_url;
    let group = authorized.caller.application().map(|application| format!("&group={}", application.group));
    let group = group.unwrap_or_default();
    match (kind, meter.scope) {
        (Kind::BudgetExceeded, Scope::Grant(_)) => {
            let model = authorized.model().map(|model| model.name.as_str()).unwrap_or_default();
            format!("{base}/requests/new?model={model}{group}")
        }
        (Kind::BudgetExceeded, _) => format!("{base}/requests/raise?limit={}{group}", meter.key()),
        _ => format!("{base}/why?request={}", authorized.caller.id),
    }
}

/// Whether the call needs more than the whole limit: then it fits into no later window either.
fn is_too_large(short: &Short, worst: &Worst) -> bool {
    worst.amount(short.claim.bucket.meter.metric) > short.claim.cap && short.claim.cap > 0
}

/// Which limit, how much, until when: "Engineering has used $499.98 of $500.00 this month, …".
fn sentence(short: &Short, name: &str, worst: &Worst, zone: Tz) -> String {
    let Meter { metric, window, .. } = short.claim.bucket.meter;
    let show = |amount: i64| metric.show(amount);
    let needs = match metric {
        Metric::Spend => show(Money(worst.amount(metric)).rounded_up().0),
        _ => show(worst.amount(metric)),
    };
    if metric == Metric::ConcurrentCalls {
        return format!(
            "{name} may make {} and that many are running.",
            metric.show_in_full(short.claim.cap)
        );
    }
    // Rounded, a little less than all of it would read as all of it.
    let close = show(short.level.settled) == show(short.claim.cap);
    let settled = if close { metric.show_in_full(short.level.settled) } else { show(short.level.settled) };
    let used =
        format!("{name} has used {settled} of {} {}", metric.show_in_full(short.claim.cap), window.current());
    let held = match short.level.held {
        0 => String::new(),
        held => format!(", and calls in flight hold {}", show(held)),
    };
    let too_large = is_too_large(short, worst);
    let less = match metric {
        Metric::InputTokens => "send less input",
        Metric::Requests => "wait until it is raised",
        _ => "ask for less output",
    };
    let until = match short.claim.bucket.ends_at {
        _ if too_large => {
            format!(
                " That is more than the whole limit, so waiting does not help: {less}, or ask for a higher limit."
            )
        }
        Some(end) if short.shortage == Shortage::Exceeded => {
            format!(" It starts anew on {}.", end.with_timezone(&zone).format("%-d %b %Y at %H:%M (%Z)"))
        }
        _ => String::new(),
    };
    let need = match metric {
        Metric::Requests => String::new(),
        _ => format!(" This call can need up to {needs}."),
    };
    let wait = if short.shortage == Shortage::Busy && !too_large { " Try again in a second." } else { "" };
    format!("{used}{held}.{need}{until}{wait}")
}

fn seconds_until(end: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    u64::try_from((end - now).num_milliseconds().max(0)).unwrap_or(0).div_ceil(1000).max(1)
}

/// Of the windows a claim can be in, the ones whose rest a caller is told in rate-limit headers.
pub const fn is_rate(metric: Metric, window: Window) -> bool {
    matches!(metric, Metric::Requests | Metric::Tokens | Metric::InputTokens | Metric::OutputTokens)
        && !matches!(window, Window::Total)
}
