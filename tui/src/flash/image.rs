//! An image in a file: plain, or packed by xz or zstd. It is read once before anything is written, against the checksum
//! that lies beside it, so that a broken download never costs a card.

use super::{CHUNK_BYTES, SECTOR_BYTES};
use crate::failure::Failure;
use crate::folder::cannot;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Largest image: more is no image of a card.
const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Most memory that unpacking may take, in KiB: xz's own presets take up to 64 MiB.
const UNPACK_KIB_MAX: u32 = 256 * 1024;
/// Largest checksum file that is read.
const CHECKSUMS_BYTES_MAX: u64 = 1024 * 1024;
/// The first bytes of what cannot be an image as it is, with what to do.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "packed by gzip", "unpack it first: gunzip IMAGE.gz"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip IMAGE.zip"),
    (b"BZh", "packed by bzip2", "unpack it first: bunzip2 IMAGE.bz2"),
];

/// How the bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Xz,
    Zstd,
}

/// An image that was read whole.
#[derive(Debug)]
pub(crate) struct Image {
    path: PathBuf,
    packing: Packing,
    /// How large it is on a card.
    pub(crate) bytes: u64,
    /// SHA-256 of each chunk, in order.
    pub(crate) chunks: Vec<[u8; 32]>,
    /// Its first sector: the partition table.
    pub(crate) first_sector: Vec<u8>,
    /// The file that its checksum was compared with, where there is one.
    pub(crate) checked_against: Option<PathBuf>,
}

impl Image {
    /// Reads it whole. `shown` is told of the file's bytes so far.
    pub(crate) fn read(path: &Path, shown: &mut dyn FnMut(u64)) -> Result<Self, Failure> {
        let failed = |error: io::Error| broken(path, &error);
        let packing = packing(path)?;
        let mut source = Counted { inner: File::open(path).map_err(failed)?, hash: Sha256::new() };
        let (mut chunks, mut bytes, mut first_sector) = (Vec::new(), 0_u64, Vec::new());
        {
            let mut unpacked = unpacked(packing, &mut source).map_err(failed)?;
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let length = fill(&mut unpacked, &mut chunk).map_err(failed)?;
                if length == 0 {
                    break;
                }
                if chunks.is_empty() {
                    first_sector = chunk[..length.min(SECTOR_BYTES)].to_vec();
                }
                bytes += length as u64;
                if bytes > IMAGE_BYTES_MAX {
                    return Err(Failure::other(
                        format!("{} unpacks to more than 64 GiB", path.display()),
                        Some("it is no image of a card"),
                    ));
                }
                chunks.push(Sha256::digest(&chunk[..length]).into());
                shown(bytes);
            }
        }
        // Packed files may have padding that the unpacker leaves alone.
        io::copy(&mut source, &mut io::sink()).map_err(failed)?;
        if bytes % SECTOR_BYTES as u64 != 0 || first_sector.get(510..512) != Some(&[0x55, 0xaa]) {
            let message = format!("{} is no image of a disk: it has no partition table", path.display());
            return Err(Failure::other(message, Some("give the file that ends in .img, .img.xz or .img.zst")));
        }
        let checked_against = compare(path, &hex(&source.hash.finalize()))?;
        Ok(Self { path: path.to_owned(), packing, bytes, chunks, first_sector, checked_against })
    }

    /// Its bytes, as they go onto a card.
    pub(crate) fn open(&self) -> Result<Box<dyn Read>, Failure> {
        let file = File::open(&self.path).map_err(|error| cannot("read", &self.path, &error))?;
        unpacked(self.packing, file).map_err(|error| broken(&self.path, &error))
    }
}

/// Fills the buffer as far as there are bytes.
pub(super) fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn broken(path: &Path, error: &io::Error) -> Failure {
    let hint = "download it again; nothing was written";
    Failure::other(format!("{} cannot be read as an image: {error}", path.display()), Some(hint))
}

fn packing(path: &Path) -> Result<Packing, Failure> {
    let mut first = Vec::new();
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    file.take(8).read_to_end(&mut first).map_err(|error| cannot("read", path, &error))?;
    if let Some((_, what, hint)) = OTHERS.iter().find(|(begin, _, _)| first.starts_with(begin)) {
        return Err(Failure::other(format!("{} is {what}, not an image", path.display()), Some(hint)));
    }
    Ok(match first.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _plain => Packing::Plain,
    })
}

fn unpacked<'r>(packing: Packing, source: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let source = BufReader::with_capacity(256 * 1024, source);
    Ok(match packing {
        Packing::Plain => Box::new(source),
        Packing::Xz => Box::new(XzReader::new_mem_limit(source, true, UNPACK_KIB_MAX)),
        Packing::Zstd => Box::new(Zstd(StreamingDecoder::new(source).map_err(io::Error::other)?)),
    })
}

/// zstd, with its checksum compared at the end, which the decoder leaves to others.
struct Zstd<R: Read>(StreamingDecoder<R, FrameDecoder>);

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(buffer)?;
        let decoder = &self.0.decoder;
        let (said, found) = (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
        if length == 0 && !buffer.is_empty() && said.is_some() && said != found {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not fit its content"));
        }
        Ok(length)
    }
}

/// Hashes what is read through it.
struct Counted {
    inner: File,
    hash: Sha256,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares with the checksum beside the file: `IMAGE.sha256`, or a line of `SHA256SUMS`.
fn compare(path: &Path, found: &str) -> Result<Option<PathBuf>, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = path.with_file_name(format!("{name}.sha256"));
    for file in [own, path.with_file_name("SHA256SUMS")] {
        let Ok(opened) = File::open(&file) else { continue };
        let mut text = String::new();
        opened.take(CHECKSUMS_BYTES_MAX).read_to_string(&mut text).map_err(|error| cannot("read", &file, &error))?;
        let is_alone = !file.ends_with("SHA256SUMS");
        let said = text.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let digits = words.next().filter(|word| word.len() == 64)?;
            let of = words.next().map_or(is_alone, |word| word.trim_start_matches('*') == name);
            of.then(|| digits.to_ascii_lowercase())
        });
        match said {
            Some(said) if said == found => return Ok(Some(file)),
            Some(said) => {
                let message = format!("{name} is not what {} says: SHA-256 {found}, not {said}", file.display());
                return Err(Failure::other(message, Some("download both again; nothing was written")));
            }
            None if is_alone => {
                let message = format!("{} has no checksum of {name}", file.display());
                return Err(Failure::other(message, Some("download it again, or remove it")));
            }
            None => {}
        }
    }
    Ok(None)
}
