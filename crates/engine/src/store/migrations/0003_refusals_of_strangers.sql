-- All refusals that are for no inbox are counted by the minute, not unknown paths alone: one row for
-- each address, reason and message.
drop index refusals_by_minute;
create unique index refusals_by_minute on refusals (minute, coalesce(address, ''), reason, message)
    where minute is not null;
