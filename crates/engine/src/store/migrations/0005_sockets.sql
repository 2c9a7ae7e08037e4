-- One socket per connection: a second one would take half of its events.
create unique index inboxes_by_socket on inboxes (connection)
    where json_extract(registration, '$.state') = 'socket' and not doomed;
