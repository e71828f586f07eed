//! The disk as the log sees it: few operations, each of which can fail, so that the simulator can
//! be the disk and fail them.

use std::io;

use bytes::Bytes;

/// A folder of flat files.
pub trait Disk: Send + Sync + 'static {
    /// Names of the files there, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file of `len` bytes, all zero and with their blocks reserved, so that writing
    /// within it later cannot run out of space. The name is durable after [`Disk::sync_names`].
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Removes a file; durable after [`Disk::sync_names`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations and removals durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file is never asked whether it is empty"
)]
pub trait DiskFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Writes all of `bytes` at `offset`; not durable before [`DiskFile::sync`] returns.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written so far durable.
    fn sync(&self) -> io::Result<()>;

    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// [`DiskFile::read_at`] only if it need not wait for the device; `None` if it would.
    fn read_cached(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>>;
}
