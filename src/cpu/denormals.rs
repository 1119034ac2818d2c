//! Flushing denormal numbers to zero on a thread of ours.
//!
//! This is the one place of the CPU side that needs `unsafe`: the processor's floating-point mode is set by an instruction that
//! has no safe form. It is set once, when a thread of Galen's own pool starts, and never on a thread of the caller's. Rust's own
//! operations on that thread then also see denormals as zero, which is what GPUs do as well; no result here depends on them.
#![allow(unsafe_code)]

/// Sets flush-to-zero and denormals-are-zero on this thread, where the processor has them.
pub(super) fn flush_to_zero() {
    #[cfg(target_arch = "x86_64")]
    {
        let mut mode: u32 = 0;
        // SAFETY: stmxcsr and ldmxcsr exist on every x86-64 processor; they read and write four bytes at the pointer, which is
        // valid and aligned. Only the bits FTZ (15) and DAZ (6) are set, which every x86-64 processor with SSE2 in use today has.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack, preserves_flags));
            mode |= (1 << 15) | (1 << 6);
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let mut mode: u64;
        // SAFETY: FPCR is readable and writable in user mode on every AArch64 processor; only FZ (bit 24) is set.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) mode, options(nostack, nomem, preserves_flags));
            mode |= 1 << 24;
            std::arch::asm!("msr fpcr, {}", in(reg) mode, options(nostack, nomem, preserves_flags));
        }
    }
}
