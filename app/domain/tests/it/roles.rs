//! The matrix of roles against `roles.txt`, which is written for people.

use domain::{
    audit::Door,
    ids::{GroupId, OrgId},
    roles::{Act, Actor, Place, permit, permit_in_all},
    users::Role,
};
use uuid::Uuid;

const HEAD: &str = "# act                     owner  admin  auditor  member  lead of it  lead above\n";

fn actor(role: Role, leads: Vec<GroupId>) -> Actor {
    Actor {
        org: OrgId(Uuid::nil()),
        user: None,
        name: "somebody".to_owned(),
        role,
        leads,
        door: Door::Console,
    }
}

/// The matrix as the code says it.
fn table() -> String {
    let (above, group) = (GroupId(Uuid::from_u128(1)), GroupId(Uuid::from_u128(2)));
    let path = [above, group];
    let mut out = HEAD.to_owned();
    for &act in Act::ALL {
        let may = |actor: Actor| if permit(&actor, act, Place::Group(&path)).is_ok() { "y" } else { "." };
        out += &format!(
            "{:<24}  {:<5}  {:<5}  {:<7}  {:<6}  {:<10}  {}\n",
            act.as_str(),
            may(actor(Role::Owner, vec![])),
            may(actor(Role::Admin, vec![])),
            may(actor(Role::Auditor, vec![])),
            may(actor(Role::Member, vec![])),
            may(actor(Role::Member, vec![group])),
            may(actor(Role::Member, vec![above])),
        );
    }
    out
}

#[test]
fn the_matrix_is_the_one_that_was_agreed() {
    // To change a role, change roles.txt first.
    assert_eq!(table(), include_str!("roles.txt"));
}

#[test]
fn a_lead_of_one_group_is_nobody_in_another_and_in_the_organization() {
    let other = GroupId(Uuid::from_u128(3));
    let lead = actor(Role::Member, vec![GroupId(Uuid::from_u128(2))]);
    for &act in Act::ALL.iter().filter(|act| **act != Act::UseOwn) {
        assert!(permit(&lead, act, Place::Group(&[other])).is_err(), "{act}");
        assert!(permit(&lead, act, Place::Organization).is_err(), "{act}");
    }
}

#[test]
fn a_permit_for_several_groups_is_for_those_and_needs_all_of_them() {
    let [above, group, other] = [1, 2, 3].map(|id| GroupId(Uuid::from_u128(id)));
    let lead = actor(Role::Member, vec![group]);
    let act = Act::NarrowAuthorizations;
    let paths: [&[GroupId]; 2] = [&[above, group], &[above, group, other]];
    let permit = permit_in_all(&lead, act, &paths).expect("they lead both");
    assert!(permit.covers(act, Some(group)) && permit.covers(act, Some(other)));
    assert!(!permit.covers(act, Some(above)) && !permit.covers(act, None));
    assert!(!permit.covers(Act::WidenAuthorizations, Some(group)));
    assert!(permit_in_all(&lead, act, &[&[above, group], &[above]]).is_err());
    assert!(!permit_in_all(&lead, act, &[]).expect("nothing is asked").covers(act, None));
}
