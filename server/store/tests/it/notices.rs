//! Notices and mail: one's own, once, and taken by one process at a time.

use chrono::Duration;
use domain::{
    authorizations::{State, Target},
    ids::{NoticeId, OrgId, UserId},
    money::Money,
    notices::{MailKind, NoticeKind, Sending},
    requests::{Per, Terms},
    roles::{Act, Actor, Permit, Place, permit},
    users::Role,
};
use store::{
    StoreError, authorizations, authorizations::Say, clock, mails, notices, requests, testing, users,
};

use crate::organization::Organization;

fn own(actor: &Actor) -> Permit {
    permit(actor, Act::UseOwn, Place::Organization).expect("everybody may")
}

/// Uma, as who she is.
fn uma(acme: &Organization) -> Actor {
    Actor { user: Some(acme.user), name: "Uma".to_owned(), role: Role::Member, ..acme.tenant.owner.clone() }
}

/// Uma asks for a model, of which Olga, the owner, is told.
async fn ask(acme: &Organization) {
    let mut change = acme.change().await;
    let say = Say { state: State::ByRequest, locked: false, ends_at: None };
    authorizations::set(&mut change, Some(acme.parent), Target::Model(acme.model), Some(say))
        .await
        .expect("a rule");
    change.commit().await.expect("it");
    let mut change = testing::begin(&acme.store, &uma(acme), Act::UseOwn).await;
    let form = requests::RequestForm {
        model: acme.model,
        group: acme.child,
        for_group: false,
        reason: "to compare".parse().expect("a reason"),
        terms: Terms {
            amount: Money::cents(500),
            ends_on: clock::now().date_naive() + chrono::Days::new(10),
        },
        per: Per::Month,
    };
    requests::insert(&mut change, &form).await.expect("a request");
    change.commit().await.expect("it");
}

async fn all_mail(acme: &Organization, org: OrgId) -> Vec<mails::Taken> {
    mails::take(&acme.store, org, clock::now(), 50).await.expect("mail")
}

#[tokio::test]
async fn notices_are_ones_own_and_nobody_elses() {
    let acme = Organization::new().await;
    ask(&acme).await;
    let olga = own(&acme.tenant.owner);
    let list = notices::list(&acme.store, &olga, true, None, 50).await.expect("notices");
    assert_eq!(list.len(), 1);
    let id = list[0].id;
    // Somebody else of the same organization, and an owner of another.
    let other = testing::tenant(&acme.store, operator(&acme).await, "Other").await;
    for stranger in [own(&uma(&acme)), own(&other.owner)] {
        assert!(notices::list(&acme.store, &stranger, false, None, 50).await.expect("none").is_empty());
        let read = notices::read(&acme.store, &stranger, id, clock::now()).await;
        assert!(matches!(read, Err(StoreError::NotFound)), "{read:?}");
        assert_eq!(
            notices::read_all(&acme.store, &stranger, NoticeId(uuid::Uuid::max()), clock::now())
                .await
                .expect("none"),
            0
        );
    }
    // Another permit than for one's own things opens nothing.
    let wrong = permit(&acme.tenant.owner, Act::EditUsers, Place::Organization).expect("an owner may");
    let refused = notices::list(&acme.store, &wrong, false, None, 50).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::UseOwn))), "{refused:?}");

    assert_eq!(notices::unread(&acme.store, &olga).await.expect("a count"), 1);
    let href = notices::read(&acme.store, &olga, id, clock::now()).await.expect("it");
    assert!(href.starts_with("/requests/ask_"), "{href}");
    assert_eq!(notices::unread(&acme.store, &olga).await.expect("a count"), 0);
}

async fn operator(acme: &Organization) -> domain::ids::AccountId {
    let id: uuid::Uuid = sqlx::query_scalar("select account_id from accounts where operator")
        .fetch_one(acme.store.pool())
        .await
        .expect("the operator");
    id.into()
}

#[tokio::test]
async fn who_does_not_want_a_kind_by_mail_has_it_in_the_console_only() {
    let acme = Organization::new().await;
    let olga = own(&acme.tenant.owner);
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::UseOwn).await;
    let kinds: Vec<NoticeKind> =
        NoticeKind::ALL.iter().copied().filter(|kind| *kind != NoticeKind::Request).collect();
    notices::prefer(&mut change, &kinds).await.expect("a choice");
    change.commit().await.expect("it");
    assert_eq!(notices::by_mail(&acme.store, &olga).await.expect("kinds"), kinds);
    ask(&acme).await;
    assert_eq!(notices::unread(&acme.store, &olga).await.expect("a count"), 1);
    assert!(all_mail(&acme, acme.tenant.org).await.is_empty());
}

#[tokio::test]
async fn a_mail_is_taken_by_one_process_and_its_text_is_gone_once_it_is_sent() {
    let acme = Organization::new().await;
    ask(&acme).await;
    let org = acme.tenant.org;
    assert_eq!(mails::waiting(&acme.store, clock::now()).await.expect("organizations"), [org]);
    // What waits cannot be read in the database.
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed from mails")
        .fetch_one(acme.store.pool())
        .await
        .expect("a sealed mail");
    assert!(!String::from_utf8_lossy(&sealed).contains("Uma"));

    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = testing::as_another_process(&acme.store);
        takers.spawn(async move { mails::take(&store, org, clock::now(), 50).await.expect("mail") });
    }
    let taken: Vec<mails::Taken> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to, ("Olga".to_owned(), "olga@acme.example".to_owned()));
    assert_eq!(taken[0].letter.subject, "Uma asks for small");
    assert_eq!(taken[0].tries, 1);
    // Whoever took it does not come back: another takes it later.
    assert!(mails::take(&acme.store, org, clock::now(), 50).await.expect("none yet").is_empty());
    let later = clock::now() + Duration::minutes(10);
    let again = mails::take(&acme.store, org, later, 50).await.expect("mail");
    assert_eq!(again[0].tries, 2);
    mails::sent(&acme.store, org, again[0].id, later).await.expect("it is noted");
    let kept: Option<Vec<u8>> =
        sqlx::query_scalar("select sealed from mails").fetch_one(acme.store.pool()).await.expect("a mail");
    assert_eq!(kept, None);
    assert!(mails::waiting(&acme.store, later + Duration::days(1)).await.expect("none").is_empty());
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_tried_again_and_given_up_with_the_reason_kept() {
    let acme = Organization::new().await;
    ask(&acme).await;
    let (org, olga) = (acme.tenant.org, acme.tenant.owner.user.expect("a person"));
    let mut now = clock::now();
    let mut tries = 0;
    loop {
        let taken = mails::take(&acme.store, org, now, 50).await.expect("mail");
        let Some(mail) = taken.first() else { break };
        tries += 1;
        assert!(tries < 20, "it is given up in the end");
        mails::not_sent(&acme.store, mail, "greylisted", true, now).await.expect("it is noted");
        now += Duration::days(1);
    }
    assert_eq!(tries, 8);
    let fate =
        mails::last(&acme.store, org, olga, MailKind::Request).await.expect("an answer").expect("a mail");
    assert_eq!((fate.state, fate.error.as_deref()), (Sending::Failed, Some("greylisted")));
}

#[tokio::test]
async fn a_newer_invitation_takes_the_place_of_one_that_waits_and_its_link_is_dead() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut change = acme.change().await;
        let token = users::invite(&mut change, acme.user).await.expect("an invitation");
        users::mail_invitation(&mut change, acme.user, &token).await.expect("a mail");
        change.commit().await.expect("it");
        tokens.push(token);
    }
    let taken = all_mail(&acme, org).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to.1, "uma@acme.example");
    assert!(taken[0].letter.path.ends_with(&tokens[1]), "the newer link");
    let found = async |token: &str| {
        users::invitation(&acme.store, org, acme.user, token).await.expect("an answer").is_some()
    };
    assert!(!found(&tokens[0]).await && found(&tokens[1]).await);
    // A change that is not kept sends nothing.
    let mut change = acme.change().await;
    users::mail_invitation(&mut change, acme.user, "x").await.expect("a mail");
    drop(change);
    mails::sent(&acme.store, org, taken[0].id, clock::now()).await.expect("it is noted");
    assert!(mails::waiting(&acme.store, clock::now()).await.expect("none").is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_somebody_who_was_suspended_meanwhile() {
    let acme = Organization::new().await;
    let (org, user): (OrgId, UserId) = (acme.tenant.org, acme.user);
    let mut change = acme.change().await;
    let token = users::invite(&mut change, user).await.expect("an invitation");
    users::mail_invitation(&mut change, user, &token).await.expect("a mail");
    users::set_suspended(&mut change, user, true).await.expect("suspended");
    change.commit().await.expect("it");
    assert!(all_mail(&acme, org).await.is_empty());
    let fate = mails::last(&acme.store, org, user, MailKind::Invitation).await.expect("an answer");
    assert_eq!(fate.expect("a mail").state, Sending::Failed);
}
