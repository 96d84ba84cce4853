-- Why undoing a change to many people left something alone; none: somebody changed it again since.
alter table batch_effects add column left_because text;
