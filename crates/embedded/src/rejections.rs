//! Nothing is published past ingest here: every producer is answered, and nothing is kept of what was refused.

use async_trait::async_trait;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::rejections::{RejectedPage, RejectedPosition};
use fanfare_core::ports::{Rejections, StoreResult};

use crate::Embedded;

#[async_trait]
impl Rejections for Embedded {
    async fn newest(
        &self,
        _: &ProjectId,
        _: Option<RejectedPosition>,
        _: usize,
        _: usize,
    ) -> StoreResult<RejectedPage> {
        Ok(RejectedPage::default())
    }
}
