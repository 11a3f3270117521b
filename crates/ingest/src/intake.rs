//! A request's body, read within the bounds of its form and of the memory there is.

use axum::body::Body;
use bytes::Bytes;
use fanfare_http::Problem;
use fanfare_http::body::BodyReader;

use crate::admission::{BodyMemory, Room};
use crate::form::Form;

/// A whole body, and the memory that is set aside for it until its events are durable.
#[derive(Debug)]
pub(crate) struct Intake<'m> {
    pub(crate) form: Form,
    pub(crate) bytes: Bytes,
    _room: Room<'m>,
}

impl<'m> Intake<'m> {
    /// Reads the body. A `Content-Length` over the bound is refused before anything is read, a body without one as soon as
    /// it is over.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it comes too slowly, 400 when it ends early, 503 when there is no memory for it.
    pub(crate) async fn read(body: Body, mut form: Form, memory: &'m BodyMemory) -> Result<Self, Problem> {
        let (mut reader, mut room) = (BodyReader::new(body), memory.room());
        loop {
            form = form.given(reader.so_far());
            if reader.announced() > form.limit() as u64 {
                return Err(form.too_large());
            }
            room.grow_to(reader.so_far().len())?;
            if !reader.more().await? {
                return Ok(Self { form, bytes: reader.finish(), _room: room });
            }
        }
    }
}
