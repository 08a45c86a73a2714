//! Sealed recordings: the machine that records can write what it cannot read. Above: `queue` seals when a recording is finished,
//! `rec seal|open|shred`, `receiver`. Below: the age format (age-encryption.org/v1) by the `age` crate, and the spool.
//!
//! Each file has a key of its own, made by chance, and wrapped to every recipient (X25519). An age file is a header, which holds
//! the wrapped key, and a body. They are kept apart: `NAME.age` is the body, `NAME.age-key` the header, some hundred bytes.
//! Together they are an age file as any program reads it: `cat NAME.age-key NAME.age | age -d -i identity.txt > NAME.wav`.
//! To shred is to overwrite and remove the header: from then on no copy of the body can be read by anybody, in whatever back-up
//! it lies, as long as the headers are not backed up with them. Whoever has been sent the header (it goes out in the manifest,
//! as `sealed.keys`) has to shred his own.
//!
//! The clear file is there until the sealed one and the manifest that names it are on the disk: while a call lasts its audio is
//! in the clear, as a WAV that can be repaired has to be.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;

use age::x25519::{Identity, Recipient};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::OutboxError;
use super::manifest::{Manifest, Sealed, stem};
use super::spool::{Measure, Spool, hex};

/// The form's name in manifests.
pub const FORM: &str = "age";
/// Bytes of a header: more recipients than anybody has.
const HEADER_LIMIT: u64 = 64 * 1024;
/// Files of recipients and identities that are longer, in bytes, are something else.
const TEXT_LIMIT: u64 = 64 * 1024;
const BLOCK_BYTES: usize = 64 * 1024;

/// Why a recording was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The spool.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A file that is read or written.
    #[error("{doing} {file}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Whose file.
        file: String,
        /// The system's words.
        source: io::Error,
    },
    /// A recipient that is none.
    #[error("`{0}` is no recipient (write age1…, as age-keygen prints it)")]
    Recipient(String),
    /// Nobody to seal to.
    #[error("there is nobody to seal to (a recipient is what age-keygen prints: age1…)")]
    Nobody,
    /// A file without an identity.
    #[error("there is no identity in it (a line AGE-SECRET-KEY-1…, as age-keygen writes it)")]
    Identity,
    /// It is not finished.
    #[error("recording {0} is not finished")]
    Open(String),
    /// It is sealed already.
    #[error("recording {0} is sealed already")]
    Already(String),
    /// It is not sealed.
    #[error("recording {0} is not sealed")]
    Clear(String),
    /// Its key was shredded.
    #[error("the key of {0} has been shredded: nobody can read it any more")]
    Shredded(String),
    /// Not for this identity, or damaged.
    #[error("{file}: {source}")]
    Age {
        /// Which file.
        file: String,
        /// What the format says.
        source: age::DecryptError,
    },
    /// What comes out is not what went in.
    #[error("{0}: what is in it is not what was recorded")]
    Changed(String),
}

impl SealError {
    fn io(doing: &'static str, file: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, file: file.to_owned(), source }
    }
}

/// Whom recordings are sealed to.
#[derive(Clone, Default)]
pub struct Recipients(Vec<Recipient>);

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.words()).finish()
    }
}

impl Recipients {
    /// Reads recipients, one a line; comments begin with `#`.
    ///
    /// # Errors
    /// A line that is none.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &str| Recipient::from_str(line).map_err(|_| SealError::Recipient(line.to_owned()));
        lines.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Those of a file.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is none.
    pub fn read(path: &std::path::Path) -> Result<Self, SealError> {
        Self::parse(&short_text(path)?)
    }

    /// Adds others.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are written.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }
}

/// Reads the identities of a file, as `age-keygen` writes it.
///
/// # Errors
/// It cannot be read, or there is none in it.
pub fn identities(path: &std::path::Path) -> Result<Vec<Identity>, SealError> {
    let text = short_text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities: Vec<_> =
        lines.map(Identity::from_str).collect::<Result<_, _>>().map_err(|_| SealError::Identity)?;
    if identities.is_empty() { Err(SealError::Identity) } else { Ok(identities) }
}

fn short_text(path: &std::path::Path) -> Result<zeroize::Zeroizing<String>, SealError> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| file.take(TEXT_LIMIT).read_to_string(&mut text));
    read.map_err(SealError::io("reading", &path.display().to_string()))?;
    Ok(text)
}

/// The file of the wrapped key for a sealed file: `NAME.age` → `NAME.age-key`.
pub fn key_name(file: &str) -> String {
    format!("{file}-key")
}

/// Seals the files of a finished recording; returns its new manifest. The clear files stay until [`drop_clear`], when the
/// manifest is where it belongs; blocks for the disk.
///
/// # Errors
/// It is sealed or not finished, there is nobody to seal to, or the disk fails; nothing has changed then.
pub fn seal(spool: &Spool, manifest: &Manifest, recipients: &Recipients) -> Result<Manifest, SealError> {
    if manifest.sealed.is_some() {
        return Err(SealError::Already(manifest.id.to_string()));
    }
    if recipients.is_empty() {
        return Err(SealError::Nobody);
    }
    let mut new = manifest.clone();
    let mut clear = Vec::new();
    let files: Vec<String> = manifest.files().map(|(file, ..)| file.to_owned()).collect();
    for (at, file) in files.iter().enumerate() {
        let sealed = format!("{}.age", stem(file));
        let (before, after) = seal_file(spool, file, &sealed, recipients)?;
        clear.push(json!({ "file": file, "bytes": before.bytes, "sha256": before.sha256 }));
        if at == 0 {
            new.file.clone_from(&sealed);
            (new.audio.bytes, new.audio.sha256) = (after.bytes, after.sha256.clone());
        }
        if let Some(part) = new.parts.get_mut(at) {
            (part.file, part.bytes, part.sha256) = (sealed, after.bytes, after.sha256);
        }
    }
    let extra = [("clear".to_owned(), Value::from(clear)), ("at".to_owned(), json!(Timestamp::now()))];
    let recipients = recipients.words().collect();
    new.sealed = Some(Sealed { form: FORM.to_owned(), recipients, extra: extra.into_iter().collect() });
    Ok(new)
}

/// Seals one file; returns what it was and what its body is.
fn seal_file(spool: &Spool, clear: &str, sealed: &str, to: &Recipients) -> Result<(Measure, Measure), SealError> {
    let failed = SealError::io("sealing", clear);
    let encryptor = age::Encryptor::with_recipients(to.0.iter().map(|one| one as &dyn age::Recipient));
    let encryptor = encryptor.map_err(|_| SealError::Nobody)?;
    let mut input = Measured::new(spool.open_file(clear)?);
    let aside = spool.begin_aside()?;
    let split = Split { header: Vec::new(), is_body: false, body: Measured::new(aside.file()) };
    let mut output = encryptor.wrap_output(split).map_err(&failed)?;
    pass(&mut input, &mut output).map_err(&failed)?;
    let split = output.finish().map_err(&failed)?;
    // An earlier attempt that was cut short may have left its own: both were nobody's yet.
    spool.remove(sealed)?;
    spool.write_whole(&key_name(sealed), &split.header)?;
    spool.place_aside(&aside, sealed)?;
    Ok((input.measure(), split.body.measure()))
}

/// Removes the clear files of a sealed recording, once its manifest is on the disk; those that are gone are as good.
///
/// # Errors
/// One is still there.
pub fn drop_clear(spool: &Spool, manifest: &Manifest) -> Result<(), SealError> {
    let sealed: Vec<&str> = manifest.files().map(|(file, ..)| file).collect();
    // The first one last: by it the others are found after a crash.
    for file in clear_files(manifest).into_iter().rev() {
        if !sealed.contains(&file.as_str()) {
            spool.remove(&file)?;
        }
    }
    Ok(())
}

/// The names that the files of a sealed recording had in the clear.
pub fn clear_files(manifest: &Manifest) -> Vec<String> {
    let clear = manifest.sealed.as_ref().and_then(|sealed| sealed.extra.get("clear")).and_then(Value::as_array);
    let name = |file: &Value| file.get("file").and_then(Value::as_str).map(str::to_owned);
    clear.into_iter().flatten().filter_map(name).collect()
}

/// Opens a file of a sealed recording: writes what was recorded to `out`, and compares it with the manifest.
///
/// # Errors
/// It is not sealed, shredded, for others, or damaged. What has been written by then is whole blocks that were genuine.
pub fn open(spool: &Spool, wanted: (&Manifest, &str), with: &[Identity], out: &mut dyn Write) -> Result<(), SealError> {
    let (manifest, file) = wanted;
    let Some(sealed) = &manifest.sealed else { return Err(SealError::Clear(manifest.id.to_string())) };
    let header = header(spool, file)?;
    let body = spool.open_file(file)?;
    let age = |source| SealError::Age { file: file.to_owned(), source };
    let decryptor = age::Decryptor::new_buffered(BufReader::new(header.as_slice().chain(body))).map_err(age)?;
    let identities = with.iter().map(|one| one as &dyn age::Identity);
    let mut input = Measured::new(decryptor.decrypt(identities).map_err(age)?);
    pass(&mut input, out).map_err(SealError::io("opening", file))?;
    let measure = input.measure();
    let at = manifest.files().position(|(name, ..)| name == file);
    let clear = sealed.extra.get("clear").and_then(|clear| clear.get(at.unwrap_or_default()));
    match clear.and_then(|clear| clear.get("sha256")).and_then(Value::as_str) {
        Some(hash) if hash != measure.sha256 => Err(SealError::Changed(file.to_owned())),
        _ => Ok(()),
    }
}

/// The header of a sealed file: what has to stand before its body to make an age file of it.
///
/// # Errors
/// It was shredded, or cannot be read.
pub fn header(spool: &Spool, file: &str) -> Result<Vec<u8>, SealError> {
    let key = key_name(file);
    if !spool.exists(&key)? {
        return Err(SealError::Shredded(file.to_owned()));
    }
    let mut header = Vec::new();
    let read = spool.open_file(&key)?.take(HEADER_LIMIT).read_to_end(&mut header);
    read.map_err(SealError::io("reading", &key))?;
    if header.starts_with(b"age-encryption.org/v1\n") { Ok(header) } else { Err(SealError::Shredded(file.to_owned())) }
}

/// Whether the keys of a sealed recording are still there.
pub fn is_readable(spool: &Spool, manifest: &Manifest) -> bool {
    manifest.files().all(|(file, ..)| header(spool, file).is_ok())
}

/// The manifest as it goes out: with the wrapped keys of its files, in Base64, as `sealed.keys`; one of a clear recording as it is.
///
/// # Errors
/// A key was shredded, or cannot be read.
pub fn with_keys(spool: &Spool, manifest: &Manifest) -> Result<Manifest, SealError> {
    let mut sent = manifest.clone();
    if let Some(sealed) = &mut sent.sealed {
        let keys: Result<Vec<Value>, SealError> =
            manifest.files().map(|(file, ..)| header(spool, file).map(|key| STANDARD.encode(key).into())).collect();
        sealed.extra.insert("keys".to_owned(), keys?.into());
    }
    Ok(sent)
}

/// Takes the wrapped keys out of a manifest that came in, as bytes in the order of its files.
pub fn take_keys(manifest: &mut Manifest) -> Vec<Vec<u8>> {
    let keys = manifest.sealed.as_mut().and_then(|sealed| sealed.extra.remove("keys"));
    let keys = keys.as_ref().and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(|key| STANDARD.decode(key.as_str()?).ok()).collect()
}

/// Forgets the keys of a sealed recording: overwrites their files, on the disk, and removes them. Returns how many there were.
///
/// # Errors
/// It is not sealed, or the disk fails: it can be done again.
pub fn shred(spool: &Spool, manifest: &Manifest) -> Result<usize, SealError> {
    if manifest.sealed.is_none() {
        return Err(SealError::Clear(manifest.id.to_string()));
    }
    let mut shredded = 0;
    for (file, ..) in manifest.files() {
        let key = key_name(file);
        if !spool.exists(&key)? {
            continue;
        }
        let overwrite = || -> io::Result<()> {
            let mut file = spool.open_to_overwrite(&key)?;
            let length = usize::try_from(file.metadata()?.len().min(HEADER_LIMIT)).unwrap_or_default();
            file.write_all(&vec![0; length])?;
            file.sync_all()
        };
        overwrite().map_err(SealError::io("shredding", &key))?;
        spool.remove(&key)?;
        shredded += 1;
    }
    Ok(shredded)
}

/// Counts and hashes what passes.
struct Measured<T> {
    inner: T,
    bytes: u64,
    hash: Sha256,
}

impl<T> Measured<T> {
    fn new(inner: T) -> Self {
        Self { inner, bytes: 0, hash: Sha256::new() }
    }

    fn take_note(&mut self, bytes: Option<&[u8]>) {
        let bytes = bytes.unwrap_or_default();
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn measure(self) -> Measure {
        Measure { bytes: self.bytes, sha256: hex(&self.hash.finalize()) }
    }
}

impl<T: Read> Read for Measured<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.take_note(buffer.get(..read));
        Ok(read)
    }
}

impl<T: Write> Write for Measured<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.take_note(buffer.get(..written));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Parts an age file where its header ends: behind the line that begins with `---`.
struct Split<W> {
    header: Vec<u8>,
    is_body: bool,
    body: W,
}

impl<W: Write> Write for Split<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.is_body {
            return self.body.write(buffer);
        }
        // the header comes in small pieces; byte for byte, so that nothing of the body is taken with it
        for (at, byte) in buffer.iter().enumerate() {
            self.header.push(*byte);
            if *byte == b'\n' && last_line(&self.header).starts_with(b"---") {
                self.is_body = true;
                return Ok(at + 1);
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.body.flush()
    }
}

/// The last line of a text that ends with a line's end.
fn last_line(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Reads one to its end and writes all of it to the other.
fn pass(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut block = zeroize::Zeroizing::new(vec![0; BLOCK_BYTES]);
    loop {
        match input.read(&mut block) {
            Ok(0) => return output.flush(),
            Ok(read) => output.write_all(block.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
