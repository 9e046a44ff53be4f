//! Finds out whether the target has the DSP extension of Arm's M profile, which `cfg` does not tell.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(dsp)");
    let [target, flags] =
        ["TARGET", "CARGO_ENCODED_RUSTFLAGS"].map(|name| env::var(name).unwrap_or_default());
    // It is part of Armv7E-M (Cortex-M4 and M7). In Armv8-M it is an option, which the user has to name.
    if target.starts_with("thumbv7em") || (target.starts_with("thumbv8m.main") && flags.contains("+dsp")) {
        println!("cargo:rustc-cfg=dsp");
    }
}
