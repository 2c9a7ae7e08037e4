//! Streams that come as files: of a job that the other side does, or of its journal.
//!
//! A job's id is written as soon as it is known, so that a run that is stopped goes on asking after
//! the same job. Between the answer that names it and that write there is a moment in which an end
//! of the program makes two jobs of one; no connector names a way to tell. After each file the sync
//! stands behind it.

use std::sync::Arc;

use domain::connector::{Job, Journal};
use domain::paging::{
    self, Cursor, JobAt, JobState, Reading, Stage, job_id, job_state, journal_entry,
    stream_of_files,
};
use domain::template;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::at_work::Waiting;
use super::failure::Failure;
use super::reader::{Lane, Of, Reader, is_about_the_position};
use crate::changes::Noun;
use crate::outgoing::{self, ApiRequest};
use crate::store::SyncPage;

impl Reader<'_> {
    pub(super) async fn read_job(&self, reading: &mut Reading, job: &Job) -> Result<(), Failure> {
        let (at, urls) = self.finished_job(reading, job).await?;
        let made = at.made;
        let stream = Arc::new(stream_of_files(&self.stream));
        if let Some(download) = &job.download {
            let mut lane_stream = (*stream).clone();
            lane_stream.source = domain::connector::Source::Pages(Box::new(download.clone()));
            let lane = Lane {
                stream: Arc::new(lane_stream),
                extra: json!({ "job": { "id": at.id } }),
                of: Of::File(made),
            };
            self.read_lane(&lane, reading, at.cursor).await?;
        } else {
            for (number, url) in urls.into_iter().enumerate().skip(at.files) {
                let cursor = self.file_at(reading).cursor.between_files(made);
                let page = self.read_file(&stream, url, cursor).await?;
                if let Stage::Job(at) = &mut reading.stage {
                    (at.files, at.cursor) = (number + 1, page.cursor.between_files(made));
                }
                let (records, newest_at) = (page.records, page.newest_at);
                let cursor = Some(reading.to_text());
                let seen_by = reading.sweeping;
                let page = SyncPage { records, cursor, newest_at, pages: 1, ..self.nothing() };
                self.commit(SyncPage { reading: seen_by, ..page }).await?;
            }
        }
        reading.cursor = self.file_at(reading).cursor.after_files();
        reading.records_done(&self.stream);
        Ok(self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?)
    }

    /// The job of a reading, once it is done, and the addresses of its files.
    async fn finished_job(
        &self,
        reading: &mut Reading,
        job: &Job,
    ) -> Result<(JobAt, Vec<String>), Failure> {
        // One that an earlier run has left may have come to nothing; then there is another.
        let mut may_make_another = matches!(reading.stage, Stage::Job(_));
        loop {
            let (at, made_with) = match reading.stage.clone() {
                Stage::Job(at) => (at, None),
                _ => {
                    let (at, answer) = self.make_job(reading, job).await?;
                    (at, Some(answer))
                }
            };
            let done = self.wait_for_job(job, &at, made_with).await;
            self.at_work.gives_up_by(None);
            let failure = match done {
                Ok(urls) => return Ok((at, urls)),
                Err(failure) => failure,
            };
            let is_over = match &failure {
                Failure::Job(_) | Failure::JobTooSlow(_) => true,
                Failure::Outgoing(error) => is_about_the_position(error),
                _ => false,
            };
            if !is_over {
                return Err(failure);
            }
            reading.stage = Stage::Records;
            reading.begin_anew();
            self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?;
            if !may_make_another {
                return Err(failure);
            }
            may_make_another = false;
        }
    }

    /// Makes a job, and writes its id.
    async fn make_job(
        &self,
        reading: &mut Reading,
        job: &Job,
    ) -> Result<(JobAt, outgoing::Answer), Failure> {
        let made = self.engine.now();
        let begins = reading.cursor.clone().go_on(&self.stream, made);
        let values = self.values(&Value::Null).await?;
        let request = paging::job_request(&self.stream, &begins, &values)?;
        let answer = self.call(&request.into()).await?;
        let id = job_id(job, &answer.body, self.engine.now())?;
        let at = JobAt { id, made, files: 0, cursor: reading.cursor.of_files(made) };
        reading.stage = Stage::Job(at.clone());
        self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?;
        Ok((at, answer))
    }

    /// Asks after a job until it is done. One without a question is done with the answer that made
    /// it.
    async fn wait_for_job(
        &self,
        job: &Job,
        at: &JobAt,
        made_with: Option<outgoing::Answer>,
    ) -> Result<Vec<String>, Failure> {
        let extra = json!({ "job": { "id": at.id } });
        let rendered = |ask: &domain::connector::Ask, values: &Value| {
            ApiRequest::from_ask(ask, values).map_err(|error: template::Error| Failure::from(error))
        };
        if let Some(cancel) = &job.cancel {
            let values = self.values(&extra).await?;
            self.at_work.gives_up_by(Some(rendered(cancel, &values)?));
        }
        let mut answer = match (&job.poll, made_with) {
            (None, Some(answer)) => Some(answer),
            // Nothing is left to ask.
            (None, None) => return Err(Failure::Job(String::new())),
            (Some(_), _) => None,
        };
        loop {
            let said = match (answer.take(), &job.poll) {
                (Some(answer), _) => answer,
                (None, Some(poll)) => {
                    let values = self.values(&extra).await?;
                    self.call(&rendered(poll, &values)?).await?
                }
                (None, None) => return Err(Failure::Job(String::new())),
            };
            let now = self.engine.now();
            match job_state(job, &said.body, now)? {
                JobState::Done(urls) => return Ok(urls),
                JobState::Failed(why) => return Err(Failure::Job(why)),
                JobState::UnderWay if now.duration_since(at.made) >= job.within.get() => {
                    return Err(Failure::JobTooSlow(job.within.get()));
                }
                JobState::UnderWay => {
                    self.wait_until(now.saturating_add(job.every.get()).unwrap_or(now)).await;
                }
            }
        }
    }

    /// Waits until the job is asked after again, and says so.
    async fn wait_until(&self, until: Timestamp) {
        let name = &self.source.connection.connection.name;
        let why = format!("{name} is making the file");
        self.at_work.wait_for(Some(Waiting { why, until: Some(until) }));
        self.engine.note(Noun::Syncs, 0);
        self.engine.doze_until(until).await;
        self.at_work.wait_for(None);
    }

    fn file_at(&self, reading: &Reading) -> JobAt {
        match &reading.stage {
            Stage::Job(at) => at.clone(),
            _ => {
                let made = self.engine.now();
                JobAt { id: Value::Null, made, files: 0, cursor: reading.cursor.of_files(made) }
            }
        }
    }

    /// Reads the file at an address that an answer named.
    async fn read_file(
        &self,
        stream: &Arc<domain::connector::Stream>,
        url: String,
        cursor: Cursor,
    ) -> Result<paging::PageRead, Failure> {
        let answer = self.call(&ApiRequest::of_address(url)).await?;
        let values = self.values(&Value::Null).await?;
        self.understand(stream, cursor, answer, values).await
    }

    pub(super) async fn read_journal(
        &self,
        reading: &mut Reading,
        journal: &Journal,
    ) -> Result<(), Failure> {
        // What an earlier run has left may be longer ago than the journal goes back.
        let mut may_begin_anew = reading.cursor.offset().is_some();
        let mut note = None;
        loop {
            let at = reading.cursor.offset().cloned();
            let (url, offset) = match self.entry(journal, at.as_ref()).await {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(Failure::Outgoing(error))
                    if may_begin_anew && is_about_the_position(&error) =>
                {
                    may_begin_anew = false;
                    reading.cursor = Cursor::default();
                    note = Some(
                        "The journal no longer goes back to where it was read last, and was read \
                         from its beginning: something may be missing between."
                            .to_owned(),
                    );
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            may_begin_anew = false;
            if at.as_ref() == Some(&offset) {
                return Err(Failure::JournalStuck);
            }
            let page = self.read_file(&self.stream, url, Cursor::default()).await?;
            let count = page.records.len() as u64;
            reading.cursor = std::mem::take(&mut reading.cursor).at_offset(offset, count);
            let (records, newest_at) = (page.records, page.newest_at);
            let cursor = Some(reading.to_text());
            let note = note.take();
            let page = SyncPage { records, cursor, newest_at, pages: 1, note, ..self.nothing() };
            self.commit(page).await?;
        }
        reading.cursor = std::mem::take(&mut reading.cursor).end_of_journal();
        reading.records_done(&self.stream);
        let cursor = Some(reading.to_text());
        Ok(self.commit(SyncPage { cursor, note, ..self.nothing() }).await?)
    }

    /// The entry of a journal after `offset`, or its first; none where there is nothing yet.
    async fn entry(
        &self,
        journal: &Journal,
        offset: Option<&Value>,
    ) -> Result<Option<(String, Value)>, Failure> {
        let (ask, extra) = match offset {
            None => (&journal.first, Value::Null),
            Some(offset) => (&journal.next, json!({ "offset": offset })),
        };
        let values = self.values(&extra).await?;
        let request = ApiRequest::from_ask(ask, &values)?;
        let answer = match self.call(&request).await {
            Err(Failure::Outgoing(outgoing::Error::Status { status, .. }))
                if status == journal.empty =>
            {
                return Ok(None);
            }
            answer => answer?,
        };
        if answer.status == journal.empty {
            return Ok(None);
        }
        Ok(Some(journal_entry(journal, &answer.body, self.engine.now())?))
    }
}
