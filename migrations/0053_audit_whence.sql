-- Where a change came from: the number of the request, which is also in the head of its answer, and the
-- address it was asked from. Lines from before have neither, and keep their hash.

alter table audit add column request text;
alter table audit add column address text;
