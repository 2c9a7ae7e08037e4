-- Which way in it came by, by its id: a place in the list changes when an own connector does.
-- Where it is empty, `way` is the place.
alter table connections add column way_id text;
-- The hosts that it could call when the user gave its secrets, as JSON.
alter table connections add column given_to text;
