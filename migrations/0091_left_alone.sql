-- What undoing a change to many people could not bring back, because somebody changed it again since.
alter table batch_effects add column left_alone boolean not null default false;
