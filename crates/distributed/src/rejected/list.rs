//! Reading rejections, the newest first. The server reads forwards alone, and says with each message how many of its subject
//! follow: by that the place where a page begins is found in some steps, however many there are.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::rejections::{Rejected, RejectedPage, RejectedPosition};
use fanfare_core::ports::{Rejections, StoreResult};

use super::{Kept, REJECTION};
use crate::Distributed;
use crate::error::corrupt;
use crate::message::described;
use crate::store::{BatchRequest, Stored};

const DOING: &str = "read rejections";
/// How many are read at once: each may have hundreds of kilobytes.
const AT_ONCE: usize = 16;

#[async_trait]
impl Rejections for Distributed {
    async fn newest(
        &self,
        project: &ProjectId,
        before: Option<RejectedPosition>,
        max: usize,
        body_bytes: usize,
    ) -> StoreResult<RejectedPage> {
        let list = List { engine: self, subject: self.shared.names.rejected_of(project.as_str()) };
        let end = before.map_or(u64::MAX, |before| before.0);
        let Some((start, more)) = list.start(end, max as u64).await? else { return Ok(RejectedPage::default()) };
        let mut rejected = Vec::new();
        let mut from = start;
        loop {
            let messages = list.from(from, AT_ONCE).await?;
            let (count, last) = (messages.len(), messages.last().map(|message| message.sequence));
            let wanted = messages.into_iter().take_while(|message| message.sequence < end);
            // One that cannot be read was not written by us.
            rejected.extend(wanted.filter_map(|message| read(&message, body_bytes).ok()));
            match last {
                // More than were asked for have come in meanwhile, at most as many as are read at once.
                Some(last) if count == AT_ONCE && last < end && rejected.len() < max => from = last + 1,
                Some(_) | None => break,
            }
        }
        rejected.reverse();
        rejected.truncate(max);
        Ok(RejectedPage { rejected, more })
    }
}

struct List<'e> {
    engine: &'e Distributed,
    subject: String,
}

impl List<'_> {
    async fn from(&self, sequence: u64, batch: usize) -> StoreResult<Vec<Stored>> {
        let request = BatchRequest { from: Some(sequence.max(1)), next: Some(&self.subject), last_of: &[], batch };
        let store = &self.engine.shared.store;
        store.batch(DOING, &self.engine.shared.names.rejected(), &request).await
    }

    /// How many there are from a sequence on, and the first of them.
    async fn count(&self, sequence: u64) -> StoreResult<(u64, u64)> {
        let first = self.from(sequence, 1).await?.pop();
        Ok(first.map_or((0, sequence), |first| (first.count(), first.sequence)))
    }

    /// Where the last `max` before `end` begin, and whether there are some before them.
    async fn start(&self, end: u64, max: u64) -> StoreResult<Option<(u64, bool)>> {
        let state = self.engine.shared.store.state(DOING, &self.engine.shared.names.rejected()).await?;
        let end = end.min(state.last_sequence + 1);
        let ((all, first), (beyond, _)) = (self.count(state.first_sequence).await?, self.count(end).await?);
        let before = all.saturating_sub(beyond);
        if before == 0 {
            return Ok(None);
        }
        // So many are left from the wanted place on. Of `low` there are as many or more, of `high` fewer.
        let wanted = before.min(max) + beyond;
        let (mut low, mut high) = (first, end);
        while all > wanted && high - low > 1 {
            let middle = low + (high - low) / 2;
            let (count, at) = self.count(middle).await?;
            if count >= wanted {
                low = at;
                if count == wanted {
                    break;
                }
            } else {
                high = middle;
            }
        }
        Ok(Some((low, before > max)))
    }
}

fn read(message: &Stored, body_bytes: usize) -> StoreResult<Rejected> {
    let kept: Kept = described(DOING, Some(&message.headers), REJECTION)?;
    let raw_headers = kept.raw_headers.map(|base64| STANDARD.decode(base64).map(Bytes::from));
    Ok(Rejected {
        position: RejectedPosition(message.sequence),
        at: Timestamp::parse(&kept.published_at).map_err(|error| corrupt(DOING, error))?,
        subject: kept.subject,
        code: kept.code,
        field: kept.field,
        reason: kept.reason,
        headers: kept.headers.unwrap_or_default(),
        raw_headers: raw_headers.transpose().map_err(|error| corrupt(DOING, error))?,
        body: Bytes::copy_from_slice(&message.payload[..message.payload.len().min(body_bytes)]),
        body_bytes: message.payload.len(),
    })
}
