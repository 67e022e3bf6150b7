//! Filling one object: who may, and the way of its bytes to the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cache::{Ask, CacheKey, FillTicket, Hash, Period, Times, VaryInputs};
use md5::{Digest, Md5};
use message::{BodyLength, ResponseHead};
use tokio::sync::watch;

use super::disk;
use super::entry::{Seen, Stored};
use super::format::{Description, FIXED_BYTES, FixedHead};
use super::image::Image;
use super::{MEMORY_OBJECT_BYTES_MAX, Now, Shared};

/// `*_cache_lock` of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRules {
    /// `*_cache_lock_age`: how long a fill may take before another request may fill, too.
    pub age: Duration,
}

/// What somebody who wants to fill is told.
#[derive(Debug)]
pub enum Fill {
    /// Call the upstream and give what it answers to this.
    Leader(Box<Filler>),
    /// Somebody else does.
    Wait(Waiting),
}

/// Waits for somebody else's fill.
#[derive(Debug)]
pub struct Waiting {
    /// Closed when the one who fills is done, well or not.
    done: watch::Receiver<()>,
    again_at_monotonic_ms: u64,
}

/// How the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Look the object up again, and if it is absent ask again to fill it.
    LookAgain,
    /// The moment to give up (`*_cache_lock_timeout`) came: call the upstream without storing.
    GaveUp,
}

impl Waiting {
    /// Waits until the fill is done or has become too old, or until the moment to give up.
    pub async fn done(mut self, now: Now, give_up_at_monotonic_ms: u64) -> Waited {
        let until = self.again_at_monotonic_ms.min(give_up_at_monotonic_ms);
        let time = Duration::from_millis(until.saturating_sub(now.monotonic_ms));
        // The sender never sends: a change is its end.
        let in_time = tokio::time::timeout(time, self.done.changed()).await.is_ok();
        if in_time || self.again_at_monotonic_ms < give_up_at_monotonic_ms {
            Waited::LookAgain
        } else {
            Waited::GaveUp
        }
    }
}

/// Takes in one response. Dropping it abandons: nothing is stored, those who wait are woken.
///
/// Order: `head` once, `write` any number of times, `commit`.
#[derive(Debug)]
pub struct Filler {
    shared: Arc<Shared>,
    key: CacheKey,
    /// The right to fill; `None` without a lock.
    ticket: Option<FillTicket>,
    /// Wakes those who wait, when dropped, which is after `ticket` has been given back.
    _wake: watch::Sender<()>,
    response: Option<Response>,
    /// What the disk said to a `write`.
    failure: Option<io::Error>,
}

#[derive(Debug)]
struct Response {
    description: Description,
    encoded: Vec<u8>,
    times: Times,
    expected: Option<u64>,
    digest: Md5,
    bytes: u64,
    /// The body while it is small; then what has not been written yet.
    buffer: Vec<u8>,
    file: Option<Temporary>,
}

/// A file under a temporary name, removed when dropped unless it got its own.
#[derive(Debug)]
struct Temporary {
    file: File,
    path: PathBuf,
    written: u64,
    is_named: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_named {
            // If it cannot be removed now, the next start does.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) fn begin(
    shared: &Arc<Shared>,
    key: &CacheKey,
    request: &dyn VaryInputs,
    lock: Option<LockRules>,
    now: Now,
) -> Fill {
    let (wake, watch) = watch::channel(());
    let mut ticket = None;
    if let Some(rules) = lock {
        let mut state = shared.state();
        let known = state.index.get(key.hash).and_then(Stored::image);
        let wanted = known.and_then(|image| image.view().described());
        let wanted = wanted.map(|known| known.wanted_variant(key, request));
        let age_ms = u64::try_from(rules.age.as_millis()).unwrap_or(u64::MAX);
        match state.filling.ask(wanted.unwrap_or(key.hash), watch, age_ms, now.monotonic_ms) {
            Ask::Lead(lead) => ticket = Some(lead),
            Ask::Wait { watch, again_at_monotonic_ms } => {
                return Fill::Wait(Waiting { done: watch, again_at_monotonic_ms });
            }
        }
    }
    Fill::Leader(Box::new(Filler {
        shared: Arc::clone(shared),
        key: key.clone(),
        ticket,
        _wake: wake,
        response: None,
        failure: None,
    }))
}

impl Filler {
    /// The response's head, as it is to be served later; `times` from `cache::lifetime`, `vary`
    /// from `cache::freshness::vary_names` (empty if Vary is ignored).
    pub fn head(
        &mut self,
        head: &ResponseHead,
        times: Times,
        vary: &str,
        request: &dyn VaryInputs,
    ) {
        let expected = match head.body {
            BodyLength::Length(bytes) => Some(bytes),
            BodyLength::None => Some(0),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        let variant = if vary.is_empty() {
            self.key.hash
        } else {
            cache::vary::variant(&self.key, vary, request)
        };
        let description = Description {
            key: self.key.text.clone(),
            vary: vary.to_owned(),
            variant,
            head: head.clone(),
        };
        // A head that is too long is not stored: `response` stays empty.
        self.response = description.encode().map(|encoded| Response {
            description,
            encoded,
            times,
            expected,
            digest: Md5::new(),
            bytes: 0,
            buffer: Vec::new(),
            file: None,
        });
    }

    /// The next piece of the body. What goes wrong is kept for [`Filler::commit`].
    pub fn write(&mut self, data: &[u8]) {
        let Some(response) = &mut self.response else { return };
        response.digest.update(data);
        response.bytes += data.len() as u64;
        response.buffer.extend_from_slice(data);
        if response.buffer.len() as u64 > MEMORY_OBJECT_BYTES_MAX {
            let path = self.shared.path(self.key.hash);
            if let Err(error) = response.flush(path) {
                self.failure = Some(error);
                self.response = None;
            }
        }
    }

    /// The whole response has been written: makes it an object and wakes those who wait. `false`
    /// if it may not be stored: no head, or not as many bytes as its head said.
    ///
    /// # Errors
    /// Of the disk, now or in an earlier `write`; for the error log, the response is unharmed.
    pub fn commit(mut self: Box<Self>, now: Now) -> io::Result<bool> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let Some(mut response) = self.response.take() else { return Ok(false) };
        if response.expected.is_some_and(|expected| expected != response.bytes) {
            return Ok(false);
        }
        let place = self.place(&response.description);
        let image = response.finish(self.shared.path(place))?;
        // The directory has just been changed by us and speaks for nothing in it.
        let seen = Seen { monotonic_ms: now.monotonic_ms, period: Period::NONE };
        self.shared.insert(place, image, seen, now);
        Ok(true)
    }

    /// The first variant takes the key's own name, the others take theirs.
    fn place(&self, description: &Description) -> Hash {
        let state = self.shared.state();
        let first = state.index.get(self.key.hash).and_then(Stored::image);
        match first.and_then(|image| image.view().described()) {
            Some(first)
                if first.key == description.key
                    && !description.vary.is_empty()
                    && first.vary == description.vary.as_bytes()
                    && first.variant != description.variant =>
            {
                description.variant
            }
            _ => self.key.hash,
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.state().filling.done(ticket);
        }
    }
}

impl Response {
    fn body_offset(&self) -> u64 {
        (FIXED_BYTES + self.encoded.len()) as u64
    }

    /// Moves the buffer into the file.
    fn flush(&mut self, path: PathBuf) -> io::Result<()> {
        let offset = self.body_offset();
        let temporary = match &mut self.file {
            Some(temporary) => temporary,
            none => {
                let (file, path) = disk::create_beside(&path)?;
                none.insert(Temporary { file, path, written: offset, is_named: false })
            }
        };
        temporary.file.write_all_at(&self.buffer, temporary.written)?;
        temporary.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self, path: PathBuf) -> io::Result<Image> {
        let is_small = self.file.is_none();
        let fixed = FixedHead {
            times: self.times,
            body_len: self.bytes,
            description_len: u32::try_from(self.encoded.len()).unwrap_or(u32::MAX),
            body_sum: Hash(std::mem::take(&mut self.digest).finalize().into()),
            description_sum: Hash::of(&[&self.encoded]),
        };
        let mut heads = fixed.encode();
        heads.extend_from_slice(&self.encoded);
        let body_offset = heads.len() as u64;
        if is_small {
            // One write for the whole object.
            let (file, temporary) = disk::create_beside(&path)?;
            heads.append(&mut self.buffer);
            self.file =
                Some(Temporary { file, path: temporary, written: body_offset, is_named: false });
        } else {
            self.flush(path.clone())?;
        }
        let temporary = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let stamp = disk::finish(&temporary.file, &temporary.path, &path, &heads)?;
        temporary.is_named = true;
        let body = heads.get(body_offset as usize..).filter(|_| is_small);
        Ok(Image::new(self.times, stamp, &self.encoded, body))
    }
}
