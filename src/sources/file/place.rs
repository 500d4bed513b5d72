//! How far a file was read, as the journal keeps it, and finding that file again.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::fill;

/// Bytes at the beginning of a file by which it is known again. Chosen: an event's id and time stand
/// in its first line.
const HEAD: u64 = 256;

/// How far one file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Where the next line begins.
    pub(super) offset: u64,
    /// What the file begins with, as far as that was read: an inode is given again to another file
    /// once its own is gone.
    pub(super) head: Head,
}

/// The first bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    bytes: u64,
    hash: String,
}

/// The files that are being read, the oldest first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bookmark {
    files: Vec<Place>,
}

/// The text that the journal keeps.
pub(super) fn write(files: impl Iterator<Item = Place>) -> String {
    let bookmark = Bookmark {
        files: files.collect(),
    };
    serde_json::to_string(&bookmark).unwrap_or_default()
}

/// Reads it back; `None` for the text of another kind.
pub(super) fn read(text: &str) -> Option<Vec<Place>> {
    serde_json::from_str(text)
        .ok()
        .map(|Bookmark { files }| files)
}

impl Head {
    /// Of a file of which nothing was read.
    pub(super) fn nothing() -> Self {
        Self::of(&[])
    }

    fn of(bytes: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let hash = hash[..8].iter().map(|byte| format!("{byte:02x}"));
        Self {
            bytes: bytes.len() as u64,
            hash: hash.collect(),
        }
    }

    /// Whether `file` begins with it; any file does with nothing.
    pub(super) fn begins(&self, file: &File) -> io::Result<bool> {
        let mut bytes = vec![0; usize::try_from(self.bytes.min(HEAD)).unwrap_or(0)];
        let length = fill(file, &mut bytes, 0)?;
        Ok(length == bytes.len() && Self::of(&bytes) == *self)
    }

    /// The head of a file that was read up to `offset`.
    pub(super) fn up_to(&self, file: &File, offset: u64) -> io::Result<Self> {
        let wanted = offset.min(HEAD);
        if wanted == self.bytes {
            return Ok(self.clone());
        }
        let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
        let length = fill(file, &mut bytes, 0)?;
        bytes.truncate(length);
        Ok(Self::of(&bytes))
    }
}

/// A file beside the followed one that a rotation may have made of it.
#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl Sibling {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("this is not a plain file"));
        }
        Ok(Self::of(path, file, &about))
    }

    fn of(path: &Path, file: File, about: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            file,
            device: about.dev(),
            inode: about.ino(),
            size: about.len(),
            modified: about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    pub(super) fn is_at(&self, place: &Place) -> bool {
        (self.device, self.inode) == (place.device, place.inode)
    }

    /// Whether the file goes on where `place` ends.
    pub(super) fn continues(&self, place: &Place) -> bool {
        self.size >= place.offset && place.head.begins(&self.file).unwrap_or(false)
    }

    /// Whether it is a copy of what was read up to `place`, or that file under another inode.
    pub(super) fn is_copy_of(&self, place: &Place) -> bool {
        place.offset > 0 && self.continues(place)
    }
}

/// Endings of what cannot be read as lines.
const PACKED: [&str; 6] = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip"];

/// The files that rotations may have made of the one at `path`, the oldest first: those beside it
/// whose names begin with its own and go on with `.`, `-` or `_`. What cannot be opened is left out.
pub(super) fn siblings(path: &Path) -> Vec<Sibling> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_rotated = |other: &str| {
        let rest = other.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['.', '-', '_']))
            && !PACKED.iter().any(|ending| other.ends_with(ending))
    };
    let mut siblings: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_rotated))
        .filter_map(|entry| Sibling::open(&entry.path()).ok())
        .collect();
    siblings.sort_by(|one, other| {
        let order = |sibling: &Sibling| (sibling.modified, std::cmp::Reverse(sibling.path.clone()));
        order(one).cmp(&order(other))
    });
    siblings
}
