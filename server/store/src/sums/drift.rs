//! Do the coarser sums agree with those by day?

use chrono::NaiveDate;
use domain::ids::OrgId;
use sqlx::PgConnection;

use crate::Result;

/// What differs from `usage_by_day`, or does not know of each finished call how long it took: of what, what is written, what should be. Most kinds of sum hold
/// every call once; groups at the top those that are in a group, members each as often as somebody has
/// groups, labels those that have one. `only`: of the days from the one until before the other.
pub(crate) async fn drift(
    db: &mut PgConnection,
    org: OrgId,
    only: Option<(NaiveDate, NaiveDate)>,
) -> Result<Vec<(String, i64, i64)>> {
    let rows = sqlx::query!(
        r#"with u as (
               select date_trunc('month', d.day)::date as month, d.calls + d.refused as calls, d.spend, p.path_id is not null as placed,
                      coalesce(cardinality(m.groups), 0) as groups, d.use_case <> '' as labelled
               from usage_by_day d
               left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
               left join member_sets m on m.org_id = d.org_id and m.set_id = d.set_id
               where d.org_id = $1 and ($2::date is null or (d.day >= $2 and d.day < $3))
           ), d as (
               select month, k.scope, sum(k.calls) as calls, sum(k.spend) as spend
               from u cross join lateral (values
                   ('organization', u.calls, u.spend), ('application', u.calls, u.spend), ('user', u.calls, u.spend),
                   ('group', case when placed then u.calls else 0 end, case when placed then u.spend else 0 end),
                   ('members', u.calls * groups, u.spend * groups),
                   ('use_case', case when labelled then u.calls else 0 end, case when labelled then u.spend else 0 end)) as k (scope, calls, spend)
               group by 1, 2
           ), s as (
               select date_trunc('month', first_day)::date as month, scope::text, grain::text, model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as every,
                      sum(calls + refused) as calls, sum(spend) as spend, sum(calls) as finished,
                      -- Of a number whose places are counts, this is the sum of them all.
                      mod(sum(took), 999999999999) as timed
               from usage_sums
               where org_id = $1 and within_id = '00000000-0000-0000-0000-000000000000' and scope <> 'feature'
                 and ($2::date is null or (first_day >= $2 and first_day < $3))
               group by 1, 2, 3, 4
           ), kinds as (
               select distinct scope, grain, every from s
               union values ('organization', 'month', true), ('group', 'month', true), ('application', 'month', true), ('user', 'month', true),
                            ('members', 'month', true), ('user', 'day', true), ('members', 'day', true), ('use_case', 'day', true)
           )
           select m.month as "month!", k.scope as "scope!", k.grain as "grain!",
                  coalesce(s.calls, 0)::bigint as "calls!", coalesce(s.spend, 0)::bigint as "spend!",
                  coalesce(d.calls, 0)::bigint as "should_calls!", coalesce(d.spend, 0)::bigint as "should_spend!",
                  case when m.month > coalesce((select first_day from ledger_start), '-infinity') then coalesce(s.timed, 0)
                       else coalesce(s.finished, 0) end::bigint as "timed!",
                  coalesce(s.finished, 0)::bigint as "finished!"
           from kinds k
           cross join (select month from d union select month from s) m
           left join d on d.month = m.month and d.scope = k.scope
           left join s on s.month = m.month and s.scope = k.scope and s.grain = k.grain and s.every = k.every"#,
        org.0,
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
    )
    .fetch_all(&mut *db)
    .await?;
    let lines = rows.into_iter().flat_map(|row| {
        let name = |what| format!("sums: {what} of each {} by {} in {}", row.scope, row.grain, row.month);
        [
            (name("calls"), row.calls, row.should_calls),
            (name("spend"), row.spend, row.should_spend),
            (name("durations"), row.timed, row.finished),
        ]
    });
    Ok(lines.filter(|(_, is, should_be)| is != should_be).collect())
}
