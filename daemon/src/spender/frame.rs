//! How the agent and the process that spends talk: one JSON text after the other, each with its length.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// A record with two long tokens is a few kilobytes.
const LONGEST: u32 = 1 << 20;

/// Room for most, so that no secret is left behind where a buffer grew.
const ROOMY: usize = 16 * 1024;

/// A text with its length before it, ready to be written.
pub(super) fn pack(content: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut frame = Zeroizing::new(Vec::with_capacity(ROOMY));
    frame.extend([0; 4]);
    serde_json::to_writer(&mut *frame, content)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Writes what was packed.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    to.write_all(frame).await?;
    to.flush().await
}

/// Reads the next one; `None` when the other side is gone, in the middle of one too.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut content = Zeroizing::new(vec![0; length as usize]);
    match from.read_exact(&mut content).await {
        Ok(_) => Ok(Some(serde_json::from_slice(&content)?)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn texts_come_one_after_the_other_and_a_torn_one_is_none() {
        let mut both = pack(&"one").unwrap().to_vec();
        both.extend(&*pack(&"two").unwrap());
        for torn in 0..both.len() {
            let mut from = &both[..torn];
            let mut whole = 0;
            while let Some(text) = read::<String>(&mut from).await.unwrap() {
                whole += 1;
                assert_eq!(text, if whole == 1 { "one" } else { "two" });
            }
            assert_eq!(whole, torn / 9);
        }
        let mut endless = &[0xff; 8][..];
        assert!(read::<String>(&mut endless).await.is_err());
        assert!(pack(&"x".repeat(2 << 20)).is_err());
    }
}
