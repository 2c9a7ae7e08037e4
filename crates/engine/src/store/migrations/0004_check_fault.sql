-- Why the last check did not succeed, as a sentence, and when it was made. Empty once one has.
alter table connections add column fault text;
alter table connections add column fault_at integer;
