//! igzip, the compressor of ISA-L: 500 to 600 MB/s on one core, twice what others take for nearly the same size.

use isal_sys::igzip_lib::{
    IGZIP_GZIP, ISAL_DEF_LVL1_DEFAULT, NO_FLUSH, isal_deflate, isal_deflate_init,
    isal_zstate_state_ZSTATE_END, isal_zstream,
};

/// How hard it tries. 1 leaves a quarter of lines of flow logs; 0 is hardly faster and leaves a sixth more, 3 takes twice the
/// time for 4 % less.
const LEVEL: u32 = 1;
/// How much room is made at a time for what comes out.
const ROOM_BYTES: usize = 256 * 1024;
/// What it is given at once: it counts in 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// A body as one member of gzip; `None` if the library refuses, which it has no reason to.
pub(super) fn compress<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Vec<u8>> {
    let mut stream = Stream::default();
    let body_bytes: usize = pieces.clone().map(<[u8]>::len).sum();
    // What is not used of it costs no memory: the system gives it when it is touched.
    let mut output = Vec::with_capacity(body_bytes / 3);
    for piece in pieces.flat_map(|piece| piece.chunks(MOST_BYTES)) {
        stream.write(piece, false, &mut output)?;
    }
    stream.write(&[], true, &mut output)?;
    Some(output)
}

/// A compressor at work on one body, and the memory that it uses.
struct Stream {
    state: Box<isal_zstream>,
    memory: Vec<u8>,
}

impl Default for Stream {
    #[expect(unsafe_code, reason = "the compressor is a library of C and assembler")]
    fn default() -> Self {
        let mut memory = vec![0; ISAL_DEF_LVL1_DEFAULT as usize];
        // SAFETY: it is made of numbers, arrays of numbers and pointers, for all of which zero is a value.
        let mut state = unsafe { Box::<isal_zstream>::new_zeroed().assume_init() };
        // SAFETY: it fills in what it is given, and keeps nothing of it but a pointer to tables of the library's own.
        unsafe { isal_deflate_init(&raw mut *state) };
        state.level = LEVEL;
        state.level_buf = memory.as_mut_ptr();
        state.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
        state.gzip_flag = u16::try_from(IGZIP_GZIP).unwrap_or_default();
        state.flush = u16::try_from(NO_FLUSH).unwrap_or_default();
        Self { state, memory }
    }
}

impl Stream {
    /// Compresses a piece of at most [`MOST_BYTES`] to the end of `output`, and ends the member after the last.
    #[expect(unsafe_code, reason = "the compressor is a library of C and assembler")]
    fn write(&mut self, piece: &[u8], is_last: bool, output: &mut Vec<u8>) -> Option<()> {
        let state = &mut *self.state;
        state.end_of_stream = u16::from(is_last);
        state.next_in = piece.as_ptr().cast_mut();
        state.avail_in = u32::try_from(piece.len()).ok()?;
        state.level_buf = self.memory.as_mut_ptr();
        loop {
            output.reserve(ROOM_BYTES);
            let room = output.spare_capacity_mut();
            let room_bytes = u32::try_from(room.len().min(MOST_BYTES)).ok()?;
            state.next_out = room.as_mut_ptr().cast();
            state.avail_out = room_bytes;
            // SAFETY: this has been through `isal_deflate_init`, with memory of the size that this level asks for. Both
            // pointers lead to as many bytes as it says, at least, and are replaced before the next call; what `next_in`
            // leads to is only read.
            let code = unsafe { isal_deflate(&raw mut *state) };
            let made = room_bytes.checked_sub(state.avail_out)? as usize;
            // SAFETY: so many bytes were written to where the content ended, within the capacity.
            unsafe { output.set_len(output.len() + made) };
            if code != 0 {
                return None;
            }
            if is_last && made == 0 && state.avail_out > 0 {
                return None;
            }
            let has_ended = state.internal_state.state == isal_zstate_state_ZSTATE_END;
            // Room that is left over is the sign that nothing more comes of what was given.
            if has_ended || (!is_last && state.avail_in == 0 && state.avail_out > 0) {
                return Some(());
            }
        }
    }
}
