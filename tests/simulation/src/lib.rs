//! Chance that can be repeated: on a thread that was given a seed, the system's random bytes follow from it.
//!
//! The order in which tokio polls the branches of a `select!`, and the order of every `HashMap`, hang on `getrandom`. A
//! program that is linked with this library has its own, which asks the kernel as ever on threads without a seed.
//! (AWS-LC asks the kernel by itself: keys of TLS are never the same twice. They have no influence on when what is sent.)

use std::{
    cell::Cell,
    ffi::{c_uint, c_void},
};

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on this thread's random bytes follow from a seed. To be called before anything else on the thread.
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
}

/// Fills a buffer with random bytes (getrandom(2)).
///
/// # Safety
/// As the C library's: `buffer` can be written for `length` bytes.
#[expect(
    unsafe_code,
    reason = "the C library's function takes a raw pointer, and must have its very name to stand in for it"
)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // SAFETY: the caller's promise; the bytes are written before they are read.
    let bytes = unsafe {
        buffer.write_bytes(0, length);
        std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    };
    let count = match STATE.get() {
        Some(state) => {
            STATE.set(Some(fill(state, bytes)));
            Ok(length)
        }
        None => {
            let flags = rustix::rand::GetRandomFlags::from_bits_retain(flags);
            rustix::rand::getrandom(bytes, flags)
        }
    };
    count.ok().and_then(|count| isize::try_from(count).ok()).unwrap_or(-1)
}

/// SplitMix64.
fn fill(mut state: u64, bytes: &mut [u8]) -> u64 {
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        chunk.copy_from_slice(mixed.to_le_bytes().get(..chunk.len()).unwrap_or_default());
    }
    state
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    /// What a fresh thread with this seed makes of a hash.
    fn hash(seed: Option<u64>) -> u64 {
        let thread = std::thread::spawn(move || {
            seed.into_iter().for_each(super::seed);
            RandomState::new().hash_one(1)
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_seed_decides_and_without_one_nothing_does() {
        assert_eq!(hash(Some(1)), hash(Some(1)));
        assert_ne!(hash(Some(1)), hash(Some(2)));
        assert_ne!(hash(None), hash(None));
    }
}
