//! Meters: settled, held and cap, with the sentence under them.

use domain::{
    limits::{Level, Metric, Mode},
    spend::{LimitLevel, percent},
    time::date,
};
use leptos::prelude::*;

use super::context::frame;

/// A bar from nothing to a cap: what is settled, and hatched behind it what calls in flight hold.
#[component]
pub fn Meter(
    /// What is used and held.
    level: Level,
    /// The cap.
    cap: i64,
    /// What it says to those who do not see it.
    #[prop(into)]
    text: String,
    /// Thinner, for tables.
    #[prop(optional)]
    small: bool,
    /// Full is fine: it shows how far something is, not how near to a cap.
    #[prop(optional)]
    calm: bool,
) -> impl IntoView {
    let share =
        |amount: i64| if cap <= 0 { 0.0 } else { (amount as f64 / cap as f64 * 100.0).clamp(0.0, 100.0) };
    let used = percent(level.settled, cap);
    let look = match used {
        _ if calm => "",
        100.. => "bad",
        80..100 => "warn",
        _ => "",
    };
    let settled = share(level.settled);
    let held = share(level.settled.saturating_add(level.held)) - settled;
    view! {
        <svg
            class=format!("meter {look}{}", if small { " small" } else { "" })
            role="meter" aria-valuemin="0" aria-valuemax="100" aria-valuenow=used.min(100).to_string() aria-valuetext=text.clone() aria-label=text
            width="100%" height=if small { "5" } else { "8" } preserveAspectRatio="none"
        >
            <rect class="track" width="100%" height="100%" rx="2.5"/>
            <rect class="settled" width=format!("{settled:.2}%") height="100%" rx="2.5"/>
            {(held > 0.0).then(|| view! { <rect class="held" x=format!("{settled:.2}%") width=format!("{held:.2}%") height="100%"/> })}
        </svg>
    }
}

/// One limit: how much of it is used, held, and when it starts anew.
#[component]
pub fn LimitMeter(
    /// The limit.
    limit: LimitLevel,
) -> impl IntoView {
    let used = limit.limit.meter.metric.show(limit.level.settled);
    let sentence = told(&limit, format!("{used} used, {}", limit.share()));
    view! {
        <Meter level=limit.level cap=limit.limit.cap text=sentence.clone()/>
        <p class="under num">{sentence}</p>
    }
}

/// `76 % used · $7.10 in flight · starts anew 1 Dec 00:00 Berlin`.
pub fn sentence(limit: &LimitLevel) -> String {
    told(limit, format!("{} used", limit.share()))
}

fn told(limit: &LimitLevel, used: String) -> String {
    let frame = frame();
    let metric = limit.limit.meter.metric;
    let mut parts = Vec::new();
    if metric == Metric::ConcurrentCalls {
        parts.push(format!("{} running now", limit.level.held));
    } else {
        // What the colour says, in words.
        let near = match limit.percent() {
            100.. => ", cap reached",
            80..100 => ", near the cap",
            _ => "",
        };
        parts.push(used + near);
        if limit.limit.mode == Mode::Observe {
            parts.push("refuses nothing".to_owned());
        }
        if limit.level.held > 0 {
            parts.push(format!("{} in flight", metric.show(limit.level.held)));
        }
        if let Some(raised) = &limit.raised {
            let then = match raised.then {
                Some(then) => format!("then {}", limit.limit.meter.show_cap(then.0)),
                None => "then the organization's default".to_owned(),
            };
            parts.push(format!("raised until {}, {then}", date(raised.until)));
        }
        if let Some(end) = limit.ends_at {
            parts.push(format!("starts anew {} {}", frame.zone.brief(end, frame.now), frame.zone.city()));
        }
    }
    parts.join(" · ")
}
