-- What belongs to a group is told by its paths. They stand in the index now, so of an organization's people
-- and programs only those rows are fetched, and not all of a year. What is added to with every call stands in
-- no index any more: such rows find room beside their older selves, and no index is touched.
drop index usage_sums_by_person;
create index usage_sums_by_person on usage_sums_of_people (org_id, grain, first_day, path_id, thing_id);
drop index usage_sums_within;
create index usage_sums_within on usage_sums_of_things
    (org_id, scope, within_id, grain, first_day, path_id, thing_id)
    where model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
alter table usage_sums_of_people set (fillfactor = 80);
