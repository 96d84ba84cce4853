//! The catalogue as a new model meets it: what the price book says about it, into which tier it seems
//! to belong, and who would have it then.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, Verdict},
    authorizations::{State, Target},
    ids::{GroupId, ModelId, OrgId, ProviderId, TierId},
    model_reviews::{Class, Peer, Suggestion, accept, clear_the_way, opening, reach, suggest},
    models::{Modality, Model, Review, Tier},
    money::Price,
    names::ModelName,
    price_lists::{Listed, listed_name, vendor_label, vendor_of},
    prices::{PriceKey, Prices},
    providers::Provider,
};
use store::{
    Change,
    model_reviews::Candidate,
    price_lists::{
        Chosen,
        book::{Book, book},
    },
};

use super::{AppError, Cx, Known, Once, as_shown, read};
use crate::api::{model_reviews::Reach, offers::There};

/// What suggestions rest on.
pub struct Catalogue {
    /// Models that are not archived, by name.
    pub models: Vec<Model>,
    /// Tiers in order.
    pub tiers: Vec<Tier>,
    /// Upstreams by name.
    pub providers: Vec<Provider>,
    /// The tiers as suggestions look at them.
    classes: Vec<Class>,
}

impl Catalogue {
    /// That of an organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of(cx: &Cx, org: OrgId) -> Result<Self, AppError> {
        let tiers = store::models::tiers(&cx.store, org).await.known()?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let now = store::clock::now();
        let class = |tier: &Tier| Class {
            tier: tier.id,
            name: tier.name.clone(),
            high_cost: tier.high_cost.then(|| opening(&facts, tier.id, now)),
        };
        Ok(Self {
            models: store::models::list(&cx.store, org).await.known()?,
            classes: tiers.iter().map(class).collect(),
            tiers,
            providers: store::providers::list(&cx.store, org).await.known()?,
        })
    }

    /// Into which tier a model with these prices seems to belong.
    pub fn suggest(&self, modality: Modality, prices: &Prices) -> Option<Suggestion> {
        let decided = self.models.iter().filter(|model| model.review == Review::Accepted);
        let peers: Vec<Peer> = decided
            .filter_map(|model| {
                Some(Peer {
                    name: model.name.clone(),
                    tier: model.tier.0,
                    modality: model.modality,
                    prices: model.prices?.prices,
                })
            })
            .collect();
        suggest(&self.classes, &peers, modality, prices)
    }

    /// Which vendor each provider is.
    pub fn vendors(&self) -> HashMap<ProviderId, &'static str> {
        let vendor =
            |provider: &Provider| Some((provider.id, vendor_of(&provider.base_url, &provider.name)?));
        self.providers.iter().filter_map(vendor).collect()
    }

    /// The model of the catalogue that may be the one that is called so upstream, and how this one would be
    /// called beside it.
    pub fn there(&self, upstream: &str) -> Option<There> {
        let name = listed_name(upstream);
        let named = self.models.iter().find(|model| model.name == name);
        let same = || self.models.iter().find(|model| listed_name(&model.upstream) == name);
        let model = named.or_else(same)?;
        let taken = |name: &str| self.models.iter().any(|model| model.name == name);
        let called = named.and_then(|_| name.parse::<ModelName>().ok()?.free(taken).ok());
        Some(There {
            name: model.name.clone(),
            by: model.provider.1.clone(),
            called: called.map(String::from),
        })
    }

    /// A model that a provider offers, as it would be taken into the review inbox.
    ///
    /// # Errors
    /// When its name cannot be written by callers, or there is no tier to put it in.
    pub fn candidate(
        &self,
        provider: ProviderId,
        upstream: &str,
        listed: Option<&Listed>,
    ) -> Result<Candidate, AppError> {
        let wrong =
            |error: domain::names::NameError| AppError::field("names", format!("{upstream}: {error}"));
        let name: ModelName = listed_name(upstream).parse().map_err(wrong)?;
        let modality = listed.map_or_else(|| modality_of(upstream), |listed| listed.modality);
        let prices = listed.map_or_else(Prices::default, |listed| listed.dearest());
        let suggestion = self.suggest(modality, &prices);
        let tier =
            suggestion.ok_or_else(|| AppError::field("names", "Add a tier first, on the models page."))?.tier;
        Ok(Candidate {
            name,
            provider,
            upstream: upstream.to_owned(),
            modality,
            tier,
            context_tokens: listed.and_then(|listed| listed.context_tokens),
            max_output_tokens: listed.and_then(|listed| listed.max_output_tokens),
            prices,
        })
    }
}

/// What the price book says about a provider's model.
pub fn in_book(provider: &Provider, upstream: &str) -> Option<&'static Listed> {
    book().get(vendor_of(&provider.base_url, &provider.name)?, upstream)
}

/// Whether these are the book's prices for a provider's model: then that is where they come from.
pub fn is_of_book(provider: &Provider, upstream: &str, prices: &Prices) -> bool {
    in_book(provider, upstream).is_some_and(|listed| listed.dearest() == *prices)
}

/// What the price book says about a provider's model.
///
/// # Errors
/// About the field `upstream`: what it is not found by.
pub fn looked_up(provider: &Provider, upstream: &str) -> Result<&'static Listed, AppError> {
    let wrong = |sentence: String| Err(AppError::field("upstream", sentence));
    if upstream.is_empty() {
        return wrong(
            "Enter what the provider calls the model: the price book looks it up by that.".to_owned(),
        );
    }
    let Some(vendor) = vendor_of(&provider.base_url, &provider.name) else {
        return wrong(format!(
            "The price book does not know {}: it tells vendors by their address, or by a provider's name.",
            provider.name
        ));
    };
    let listed = book().get(vendor, upstream);
    listed.ok_or(()).or_else(|()| {
        wrong(format!(
            "The price book has no {upstream} of {}. Enter its prices yourself.",
            vendor_label(vendor)
        ))
    })
}

/// The fields of a form as a list has them.
pub fn filled(listed: &Listed, suggestion: Option<Suggestion>) -> Once {
    let count = |count: Option<i64>| count.map(|count| count.to_string()).unwrap_or_default();
    let prices = listed.dearest();
    let price = |key: PriceKey| prices.own(key).map(Price::exact).unwrap_or_default();
    let mut values = vec![
        ("modality".to_owned(), listed.modality.to_string()),
        ("context_tokens".to_owned(), count(listed.context_tokens)),
        ("max_output_tokens".to_owned(), count(listed.max_output_tokens)),
        ("price_input".to_owned(), price(PriceKey::Input)),
        ("price_output".to_owned(), price(PriceKey::Output)),
    ];
    values.extend(PriceKey::ALL.iter().map(|key| (key.to_string(), price(*key))));
    let mut sentence = format!(
        "Filled in from the price book: {}, {}. Look it over; it counts once you save it.",
        vendor_label(&listed.vendor),
        book_words(book())
    );
    if let Some(caution) = listed.caution() {
        sentence += &format!(" {caution}");
    }
    if let Some(Suggestion { tier, why }) = suggestion {
        values.push(("tier".to_owned(), tier.to_string()));
        sentence += &format!(" Tier: {}", why);
    }
    Once::Filled { sentence, values }
}

/// Reads prices, each with the sentence beside its own field.
///
/// # Errors
/// About the field that is called like the key.
pub fn read_prices(texts: &[(PriceKey, String)]) -> Result<Prices, AppError> {
    texts.iter().try_fold(Prices::default(), |prices, (key, text)| {
        Ok(prices.with(*key, super::read_some(key.as_str(), text)?))
    })
}

/// What kind of model a name says it is, where nothing else does. A person sees it and decides.
fn modality_of(upstream: &str) -> Modality {
    let name = upstream.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["embed"]) => Modality::Embedding,
        () if has(&["rerank"]) => Modality::Rerank,
        () if has(&["whisper", "tts", "transcribe", "audio", "realtime"]) => Modality::Audio,
        () if has(&["sora", "veo", "video"]) => Modality::Video,
        () if has(&["dall-e", "image", "imagen", "flux"]) => Modality::Image,
        () => Modality::Chat,
    }
}

/// Models that are to have the price of a list, each with what it cost when it was shown.
///
/// # Errors
/// About the field `models`, when one comes without that.
pub fn chosen(models: &[String], was: &HashMap<String, String>) -> Result<Vec<Chosen>, AppError> {
    let one = |id: &String| {
        let was = was
            .get(id)
            .ok_or_else(|| AppError::field("models", "Say of each model what it cost when it was shown."))?;
        Ok(Chosen { model: read("models", id)?, was: read("models", was)? })
    };
    models.iter().map(one).collect()
}

/// The book in words: `LiteLLM's list 1.110.2 of 20 Nov 2026`.
pub fn book_words(book: &Book) -> String {
    format!("{}, version {} of {}", book.source, book.version, domain::time::date(book.of))
}

/// Who would have a model in each tier, once it is accepted and has a price: by what `decide` says.
pub struct Reaches<'a> {
    facts: Facts,
    tiers: &'a [Tier],
    now: DateTime<Utc>,
    /// Models that no rule names get the same in the same tier, if those of their kind can be called at all.
    known: HashMap<(TierId, bool, Option<ModelId>), Reach>,
}

impl<'a> Reaches<'a> {
    /// With the facts of now.
    pub fn new(facts: Facts, tiers: &'a [Tier], now: DateTime<Utc>) -> Self {
        Self { facts, tiers, now, known: HashMap::new() }
    }

    /// Of one model, by tier.
    pub fn of(&mut self, model: &Model) -> Vec<Reach> {
        let named = self.facts.rules.values().any(|rules| rules.contains_key(&Target::Model(model.id)));
        let own = (named || self.facts.grants.contains_key(&model.id)).then_some(model.id);
        let tiers = self.tiers;
        tiers.iter().map(|tier| self.in_tier(model, tier, own)).collect()
    }

    fn in_tier(&mut self, model: &Model, tier: &Tier, own: Option<ModelId>) -> Reach {
        let key = (tier.id, model.modality.is_served(model.dialect), own);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        accept(&mut self.facts, model.id, tier.id);
        clear_the_way(&mut self.facts, model.id, self.now);
        let reached = reach(&self.facts, model.id, self.now);
        let reach = self.told(tier, &reached);
        self.known.insert(key, reach.clone());
        reach
    }

    /// Groups by path; of those below one that has it the same way, only that one.
    fn told(&self, tier: &Tier, reached: &[(GroupId, Verdict)]) -> Reach {
        let verdicts: HashMap<GroupId, Verdict> = reached.iter().copied().collect();
        let count = |verdict| reached.iter().filter(|(_, it)| *it == verdict).count();
        let top = |verdict: Verdict| {
            let of = reached.iter().filter(|(_, it)| *it == verdict);
            let mut paths: Vec<String> = of
                .filter_map(|(group, _)| {
                    let path = &self.facts.groups.get(group)?.path;
                    let above = path.len().checked_sub(2).and_then(|place| verdicts.get(&path[place]));
                    (above != Some(&verdict)).then(|| self.path_name(path))
                })
                .collect();
            paths.sort();
            paths
        };
        let open_groups =
            self.facts.groups.values().filter(|group| group.ends_at.is_none_or(|end| self.now < end));
        Reach {
            tier: tier.id,
            name: tier.name.clone(),
            high_cost: tier.high_cost,
            open: count(Verdict::Allow),
            by_request: count(Verdict::NeedsApproval),
            of: open_groups.count(),
            open_in: top(Verdict::Allow),
            by_request_in: top(Verdict::NeedsApproval),
        }
    }

    fn path_name(&self, path: &[GroupId]) -> String {
        let names = path.iter().filter_map(|id| Some(self.facts.groups.get(id)?.name.as_str()));
        names.collect::<Vec<_>>().join("/")
    }
}

/// Groups that are named of those whose models change with the catalogue.
const IN_A_SENTENCE: usize = 5;

/// Who gains and loses which models by a change of the catalogue, as a question; none: nobody.
pub fn who_gains(before: &Facts, after: &Facts, now: DateTime<Utc>) -> Option<String> {
    let reaches = domain::rehearsal::reach(before, after, now);
    if reaches.is_empty() {
        return None;
    }
    let each = |reach: &domain::rehearsal::Reach| {
        let below = match reach.below {
            0 => String::new(),
            1 => " and 1 group below".to_owned(),
            count => format!(" and {count} groups below"),
        };
        let people =
            if reach.people == 1 { "1 person".to_owned() } else { format!("{} people", reach.people) };
        let changes: Vec<String> = reach
            .models
            .iter()
            .map(|(name, from, to)| {
                let verb = if to.wider_than(*from) { "gains" } else { "loses" };
                let how = |state: &State| state.label().to_lowercase();
                format!("{verb} {name} ({} → {})", how(from), how(to))
            })
            .collect();
        let more = changes.len().saturating_sub(IN_A_SENTENCE);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let changes = changes.into_iter().take(IN_A_SENTENCE).collect::<Vec<_>>().join(", ");
        format!("{}{below} ({people}) {changes}{more}", reach.name)
    };
    let more = reaches.len().saturating_sub(IN_A_SENTENCE);
    let more = match more {
        0 => String::new(),
        1 => "; and 1 more group".to_owned(),
        more => format!("; and {more} more groups"),
    };
    let named = reaches.iter().take(IN_A_SENTENCE).map(each).collect::<Vec<_>>().join("; ");
    Some(format!("Nothing is saved yet. With this {named}{more}. Save it again if that is meant."))
}

/// Who gains and loses by saying of a tier that it is high-cost, or no longer.
pub fn by_mark(facts: &Facts, tier: TierId, high_cost: bool, now: DateTime<Utc>) -> Option<String> {
    let known = facts.tiers.get(&tier).filter(|known| known.high_cost != high_cost)?;
    let mut after = facts.clone();
    after.tiers.insert(tier, domain::access::TierFacts { high_cost, ..known.clone() });
    who_gains(facts, &after, now)
}

/// Who gains and loses by putting a model into another tier.
pub fn by_tier(facts: &Facts, model: ModelId, tier: TierId, now: DateTime<Utc>) -> Option<String> {
    let known = facts.models.get(&model).filter(|known| known.tier != tier)?;
    let mut after = facts.clone();
    after.models.insert(model, domain::access::ModelFacts { tier, ..known.clone() });
    who_gains(facts, &after, now)
}

/// The groups that would have a model if nothing but the rules stood in its way: id, path and how they have it.
/// The review inbox says of every tier what this says of the one a model is in.
pub fn reached(
    mut facts: Facts,
    paths: Vec<(GroupId, String)>,
    model: ModelId,
    now: DateTime<Utc>,
) -> Vec<(String, String, State)> {
    clear_the_way(&mut facts, model, now);
    let verdicts: HashMap<GroupId, Verdict> = reach(&facts, model, now).into_iter().collect();
    let has = |(group, path): (GroupId, String)| match verdicts.get(&group)? {
        Verdict::Allow => Some((group.to_string(), path, State::Open)),
        Verdict::NeedsApproval => Some((group.to_string(), path, State::ByRequest)),
        Verdict::Deny(_) => None,
    };
    paths.into_iter().filter_map(has).collect()
}

/// What taking models into the inbox came to: how many wait, under which other names, and which were there.
///
/// # Errors
/// When the database does not answer.
pub async fn taken_words(
    cx: &Cx,
    org: OrgId,
    candidates: &[Candidate],
    taken: &[ModelId],
) -> Result<String, AppError> {
    let mut models = Vec::new();
    for id in taken {
        models.push(store::models::get(&cx.store, org, *id).await.known()?);
    }
    let mut sentences = vec![match models.len() {
        0 => "All of them were in the catalogue already.".to_owned(),
        1 => "1 model waits for review. It stays closed until somebody decides.".to_owned(),
        count => format!("{count} models wait for review. They stay closed until somebody decides."),
    }];
    let as_taken = |candidate: &&Candidate| {
        models
            .iter()
            .find(|model| model.provider.0 == candidate.provider && model.upstream == candidate.upstream)
    };
    for candidate in candidates {
        if let Some(model) = as_taken(&candidate).filter(|model| candidate.name.as_str() != model.name) {
            sentences.push(format!("{} is called {} here: the name was taken.", candidate.name, model.name));
        }
    }
    let there: Vec<&Candidate> = candidates.iter().filter(|it| as_taken(it).is_none()).collect();
    if !there.is_empty() {
        let known = store::models::list(&cx.store, org).await.known()?;
        // Each by the name that callers write, which is another one where its own was taken.
        let called = |candidate: &Candidate| {
            let name = listed_name(&candidate.upstream);
            let own = known
                .iter()
                .find(|model| model.provider.0 == candidate.provider && listed_name(&model.upstream) == name);
            let own = own.map(|model| model.name.clone()).filter(|own| *own != candidate.name.as_str());
            (candidate.name.to_string(), own)
        };
        let words = |(name, own): (String, Option<String>)| match own {
            Some(own) => format!("{name} (called {own} here)"),
            None => name,
        };
        // Where nothing is new, those are left to be named that are called otherwise.
        let named = there.into_iter().map(called).filter(|(_, own)| !models.is_empty() || own.is_some());
        let there: Vec<String> = named.map(words).collect();
        if !there.is_empty() {
            sentences.push(format!("In the catalogue already: {}.", there.join(", ")));
        }
    }
    Ok(sentences.join(" "))
}

/// Models that a decision is about, each with its version as it was shown and the tier it is in: none of them
/// was changed since.
///
/// # Errors
/// About `ids` when there are none, or one comes without its version; when somebody changed one since.
pub async fn as_seen(
    cx: &Cx,
    change: &mut Change,
    ids: &[String],
    seen: &HashMap<String, i64>,
) -> Result<Vec<(ModelId, i64, TierId)>, AppError> {
    if ids.is_empty() {
        return Err(AppError::field("ids", "Tick the models that this is about."));
    }
    let mut known = Vec::new();
    for id in ids {
        let Some(version) = seen.get(id).copied() else {
            return Err(AppError::field("ids", "Say of each model at which version it was shown."));
        };
        let id: ModelId = read("ids", id)?;
        as_shown(change, id.0, version, None).await?;
        let model = store::models::get(&cx.store, change.org(), id).await.known()?;
        known.push((id, version, model.tier.0));
    }
    Ok(known)
}
