//! igzip, the inflater of ISA-L: it takes half the time of those written in Rust.

use isal_sys::igzip_lib::{
    ISAL_GZIP_NO_HDR_VER, ISAL_INCORRECT_CHECKSUM, ISAL_INVALID_BLOCK, ISAL_INVALID_LOOKBACK,
    ISAL_INVALID_SYMBOL, inflate_state, isal_block_state_ISAL_BLOCK_FINISH as FINISH, isal_inflate,
    isal_inflate_init, isal_inflate_reset,
};

use super::{Inflate, Step};

/// What the inflater is given at once. ISA-L before 2.32.1 adds lengths in 32 bits.
const MOST_BYTES: u32 = 1 << 30;

/// The inflater, inside a member or between two.
pub(crate) struct Member(Box<inflate_state>);

impl Default for Member {
    #[expect(unsafe_code, reason = "the inflater is a library of C and assembler")]
    fn default() -> Self {
        // SAFETY: it is made of numbers, arrays of numbers and pointers, for all of which zero is a value.
        let mut state = unsafe { Box::<inflate_state>::new_zeroed().assume_init() };
        // SAFETY: it fills in what it is given, and keeps nothing of it.
        unsafe { isal_inflate_init(&raw mut *state) };
        state.crc_flag = ISAL_GZIP_NO_HDR_VER;
        state.block_state = FINISH;
        Self(state)
    }
}

impl Inflate for Member {
    fn has_ended(&self) -> bool {
        self.0.block_state == FINISH
    }

    #[expect(unsafe_code, reason = "the inflater is a library of C and assembler")]
    fn begin(&mut self) {
        // SAFETY: as for `isal_inflate_init`, which this has been through.
        unsafe { isal_inflate_reset(&raw mut *self.0) }
    }

    #[expect(unsafe_code, reason = "the inflater is a library of C and assembler")]
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let state = &mut *self.0;
        let most = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).min(MOST_BYTES);
        let (input_bytes, output_bytes) = (most(input.len()), most(output.len()));
        state.next_in = input.as_ptr().cast_mut();
        state.avail_in = input_bytes;
        state.next_out = output.as_mut_ptr();
        state.avail_out = output_bytes;
        // SAFETY: this has been through `isal_inflate_init`. Both pointers lead to as many bytes as it says, at least, and
        // are replaced before the next call; what `next_in` leads to is only read.
        let code = unsafe { isal_inflate(&raw mut *state) };
        let taken = input_bytes.saturating_sub(state.avail_in) as usize;
        let made = output_bytes.saturating_sub(state.avail_out) as usize;
        let damage = match code {
            0.. => None,
            ISAL_INVALID_BLOCK => Some("a block has no known form"),
            ISAL_INVALID_SYMBOL => Some("a code stands for nothing"),
            ISAL_INVALID_LOOKBACK => Some("it repeats what was before its beginning"),
            ISAL_INCORRECT_CHECKSUM => Some("its checksum or length does not match its content"),
            _ => Some("the inflater cannot read it"),
        };
        Step { taken, made, damage }
    }
}
