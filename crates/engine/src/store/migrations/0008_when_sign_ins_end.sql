-- When the refresh token of a connection ends unless it is used before. Empty where nobody says.
alter table connections add column sign_in_ends_at integer;
