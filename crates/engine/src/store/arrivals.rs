//! Intake: arrivals become events, or repeats of one.
//!
//! This is the hot path. Its statements are prepared once for as long as the connection lives and
//! bound by place, since looking up names and statements would cost as much as the insert.

use std::collections::{HashMap, HashSet};

use domain::event::{Accepted, Arrival, NewEvent};
use domain::id::EventId;
use rusqlite::{Connection, Statement, named_params};

use super::{Error, Result, events};

/// How many inboxes' types are remembered before all are looked up anew.
const TYPES: usize = 4_096;

/// An arrival that is ready to be written: what could be done before the writer has been done.
pub(super) struct Prepared {
    key: Option<[u8; 16]>,
    event: NewEvent,
    detail: String,
}

impl Prepared {
    pub(super) fn new(arrival: Arrival) -> Self {
        let Arrival { key, mut event } = arrival;
        let detail = events::detail(&event);
        // They are in `detail` now, and the writer has better things to do than to free them.
        event.headers = Vec::new();
        Self { key: key.map(|key| key.0), event, detail }
    }

    /// About how many bytes it is.
    pub(super) fn bytes(&self) -> usize {
        self.event.body.len() + self.detail.len()
    }
}

/// How far the times of two arrivals that overtake each other on their way here may be apart, in
/// milliseconds. What is further apart is a clock that was set.
const OVERTAKING: i64 = 1_000;

/// When an event that follows one of `before` was received: a burst is stored in the order in which
/// it is committed, and its clock times have the same order.
fn in_order(at: i64, before: i64) -> i64 {
    if before - at <= OVERTAKING { at.max(before) } else { at }
}

/// The statements of intake, and what the writer need not ask the database again.
pub(super) struct Intake<'db> {
    begin: Statement<'db>,
    undo: Statement<'db>,
    end: Statement<'db>,
    arrive: Statement<'db>,
    repeat: Statement<'db>,
    insert: Statement<'db>,
    db: &'db Connection,
    /// The newest id handed out, and how much of that is on disk.
    newest: i64,
    marked: i64,
    /// When the newest one was received, as far as this writer knows.
    newest_at: i64,
    inboxes: HashSet<i64>,
    types: HashMap<i64, HashMap<Box<str>, i64>>,
    type_count: usize,
}

impl<'db> Intake<'db> {
    pub(super) fn new(db: &'db Connection) -> Result<Self> {
        let newest = newest(db)?;
        Ok(Self {
            begin: db.prepare("savepoint arrival")?,
            undo: db.prepare("rollback to arrival")?,
            end: db.prepare("release arrival")?,
            arrive: db.prepare(
                "insert into arrivals (inbox, key, event, first_at, last_at, times)
                 values (?1, ?2, ?3, ?4, ?4, 1)
                 on conflict (inbox, key) do nothing",
            )?,
            repeat: db.prepare(
                "update arrivals set times = times + 1, last_at = max(last_at, ?3)
                 where inbox = ?1 and key = ?2
                 returning event",
            )?,
            insert: db.prepare(
                "insert into events (id, inbox, type, received_at, origin, proof, sandbox,
                                     connection, key, external_id, title, detail, body)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?,
            db,
            newest,
            marked: newest,
            newest_at: 0,
            inboxes: HashSet::new(),
            types: HashMap::new(),
            type_count: 0,
        })
    }

    /// The newest id handed out so far.
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// Asks again which inboxes are there: another write may have deleted one.
    pub(super) fn forget_inboxes(&mut self) {
        self.inboxes.clear();
    }

    /// Stores calls, each of them whole or not at all.
    ///
    /// They share a savepoint as long as none fails, since one for each would cost more than a
    /// failure does: then all of them are done again, one by one.
    pub(super) fn store(&mut self, calls: &[&[Prepared]]) -> Vec<Result<Vec<Accepted>>> {
        if let [call] = calls {
            return vec![self.in_savepoint(|intake| intake.store_call(call))];
        }
        let together = self.in_savepoint(|intake| {
            calls.iter().map(|call| intake.store_call(call)).collect::<Result<Vec<_>>>()
        });
        match together {
            Ok(all) => all.into_iter().map(Ok).collect(),
            Err(error) if self.db.is_autocommit() => {
                calls.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => calls
                .iter()
                .map(|call| self.in_savepoint(|intake| intake.store_call(call)))
                .collect(),
        }
    }

    fn in_savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.begin.execute([])?;
        let outcome = work(self);
        if self.db.is_autocommit() {
            return outcome;
        }
        if outcome.is_err() {
            // A type that was made here is unmade too.
            self.types.clear();
            self.type_count = 0;
            self.undo.execute([])?;
        }
        self.end.execute([])?;
        outcome
    }

    fn store_call(&mut self, call: &[Prepared]) -> Result<Vec<Accepted>> {
        call.iter().map(|arrival| self.store_one(arrival)).collect()
    }

    fn store_one(&mut self, arrival: &Prepared) -> Result<Accepted> {
        let event = &arrival.event;
        let inbox = event.inbox.get();
        self.know(inbox)?;
        let id = self.newest.checked_add(1).ok_or_else(|| Error::Io("no id is left".into()))?;
        let received_at = in_order(event.received_at.as_millisecond(), self.newest_at);

        if let Some(key) = &arrival.key {
            let first = self.arrived(inbox, key, id, received_at)?;
            if first != id {
                return Ok(Accepted::Repeat(EventId::new(first)));
            }
        }

        let kind = self.type_id(inbox, &event.event_type)?;
        let insert = &mut self.insert;
        insert.raw_bind_parameter(1, id)?;
        insert.raw_bind_parameter(2, inbox)?;
        insert.raw_bind_parameter(3, kind)?;
        insert.raw_bind_parameter(4, received_at)?;
        insert.raw_bind_parameter(5, events::origin_number(event.origin))?;
        insert.raw_bind_parameter(6, events::proof_number(event.proof))?;
        insert.raw_bind_parameter(7, event.sandbox)?;
        insert.raw_bind_parameter(8, event.connection.map(|connection| connection.get()))?;
        insert.raw_bind_parameter(9, arrival.key.as_ref().map(<[u8; 16]>::as_slice))?;
        insert.raw_bind_parameter(10, event.external_id.as_deref())?;
        insert.raw_bind_parameter(11, event.title.as_str())?;
        insert.raw_bind_parameter(12, arrival.detail.as_str())?;
        insert.raw_bind_parameter(13, &event.body[..])?;
        insert.raw_execute()?;
        // Only now: an id that was not used is the next one's. Ids of a failed commit stay unused.
        self.newest = id;
        self.newest_at = received_at;
        Ok(Accepted::New(EventId::new(id)))
    }

    /// Notes an arrival; says which event holds its key: `id`, or the first one's.
    fn arrived(&mut self, inbox: i64, key: &[u8; 16], id: i64, at: i64) -> Result<i64> {
        let arrive = &mut self.arrive;
        arrive.raw_bind_parameter(1, inbox)?;
        arrive.raw_bind_parameter(2, key.as_slice())?;
        arrive.raw_bind_parameter(3, id)?;
        arrive.raw_bind_parameter(4, at)?;
        if arrive.raw_execute()? > 0 {
            return Ok(id);
        }
        Ok(self.repeat.query_row((inbox, key.as_slice(), at), |row| row.get(0))?)
    }

    /// Makes sure that the inbox is there and stays.
    fn know(&mut self, inbox: i64) -> Result<()> {
        if self.inboxes.contains(&inbox) {
            return Ok(());
        }
        self.db
            .prepare_cached("select 1 from inboxes where id = :id and not doomed")?
            .query_row(named_params! { ":id": inbox }, |_| Ok(()))?;
        self.inboxes.insert(inbox);
        Ok(())
    }

    /// The number of a type of an inbox, made where it is new.
    fn type_id(&mut self, inbox: i64, name: &str) -> Result<i64> {
        if let Some(&id) = self.types.get(&inbox).and_then(|types| types.get(name)) {
            return Ok(id);
        }
        if self.type_count >= TYPES {
            self.types.clear();
            self.type_count = 0;
        }
        self.db
            .prepare_cached(
                "insert into event_types (inbox, name) values (:inbox, :name)
                 on conflict (inbox, name) do nothing",
            )?
            .execute(named_params! { ":inbox": inbox, ":name": name })?;
        let id = self
            .db
            .prepare_cached("select id from event_types where inbox = :inbox and name = :name")?
            .query_row(named_params! { ":inbox": inbox, ":name": name }, |row| row.get(0))?;
        self.types.entry(inbox).or_default().insert(name.into(), id);
        self.type_count += 1;
        Ok(id)
    }

    /// Writes down which id is the newest, once a group: a row that is deleted takes nothing back.
    pub(super) fn keep_marks(&mut self) -> Result<()> {
        if self.marked == self.newest {
            return Ok(());
        }
        self.db
            .prepare_cached(
                "insert into marks (name, value) values ('event', :newest)
                 on conflict (name) do update set value = excluded.value",
            )?
            .execute(named_params! { ":newest": self.newest })?;
        self.marked = self.newest;
        Ok(())
    }
}

/// The newest event id that was ever handed out.
pub(super) fn newest(db: &Connection) -> Result<i64> {
    Ok(db.query_row(
        "select max(coalesce((select value from marks where name = 'event'), 0),
                    coalesce((select max(id) from events), 0))",
        [],
        |row| row.get(0),
    )?)
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn a_burst_keeps_its_order_and_a_clock_may_be_set_back() {
        assert_eq!(in_order(1_432, 0), 1_432);
        assert_eq!(in_order(1_431, 1_432), 1_432);
        assert_eq!(in_order(1_433, 1_432), 1_433);
        assert_eq!(in_order(1_000, 90_000), 1_000);
    }
}
