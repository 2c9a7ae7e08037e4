//! What intake is measured against: an empty handler, and the least that durable intake can be.
//!
//! The spike verifies, inserts with a unique key and commits in groups with `synchronous=FULL`;
//! there is no product around it. It is as fast as this design gets on this disk, which makes the
//! product's share of it a figure that means something on any machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rusqlite::{Connection, params};
use standardwebhooks::Webhook;
use tokio::sync::oneshot;

/// Most rows that one commit holds.
const GROUP: usize = 256;

struct Row {
    id: String,
    body: Bytes,
    stored: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Spike {
    signer: Arc<Webhook>,
    writer: mpsc::Sender<Row>,
}

/// Answers 204 to everything.
pub(crate) fn empty() -> Router {
    Router::new().fallback(|_: Bytes| async { StatusCode::NO_CONTENT })
}

/// Verifies, inserts and commits in groups.
pub(crate) fn spike(dir: &Path, secret: &str) -> Result<Router> {
    let db = open(dir)?;
    let (writer, rows) = mpsc::channel();
    std::thread::spawn(move || write(&db, &rows));
    let spike = Spike { signer: Arc::new(Webhook::new(secret)?), writer };
    Ok(Router::new().route("/in/spike", post(receive)).with_state(spike))
}

fn open(dir: &Path) -> Result<Connection> {
    let db = Connection::open(dir.join("spike.db"))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.execute_batch(
        "create table events (id integer primary key, body blob not null) strict;
         create table arrivals (key text primary key, event integer not null) strict, without rowid;",
    )?;
    Ok(db)
}

async fn receive(State(spike): State<Spike>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    if spike.signer.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let (stored, wait) = oneshot::channel();
    let row = Row { id: id.to_owned(), body, stored };
    if spike.writer.send(row).is_err() || wait.await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    StatusCode::NO_CONTENT
}

fn write(db: &Connection, rows: &mpsc::Receiver<Row>) {
    let mut number = 0i64;
    while let Ok(first) = rows.recv() {
        let mut group = vec![first];
        group.extend(rows.try_iter().take(GROUP - 1));
        if commit(db, &group, &mut number).is_err() {
            return;
        }
        for row in group {
            // A sender that went away is no fault of the writer's.
            let _ = row.stored.send(());
        }
    }
}

fn commit(db: &Connection, group: &[Row], number: &mut i64) -> rusqlite::Result<()> {
    db.execute_batch("begin immediate")?;
    for row in group {
        *number += 1;
        db.prepare_cached("insert or ignore into arrivals (key, event) values (?1, ?2)")?
            .execute(params![row.id, *number])?;
        db.prepare_cached("insert into events (id, body) values (?1, ?2)")?
            .execute(params![*number, &row.body[..]])?;
    }
    db.execute_batch("commit")
}
