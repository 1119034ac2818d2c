// The sizes of a pooling, as constants: to divide by a number that the compiler knows is to multiply. Input, output, kernel and stride
// as slices, rows and columns, and the padding before them.
struct Params {
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

const D: u32 = ${D}u;
const H: u32 = ${H}u;
const W: u32 = ${W}u;
const OD: u32 = ${OD}u;
const OH: u32 = ${OH}u;
const OW: u32 = ${OW}u;
const KD: u32 = ${KD}u;
const KH: u32 = ${KH}u;
const KW: u32 = ${KW}u;
const SD: u32 = ${SD}u;
const SH: u32 = ${SH}u;
const SW: u32 = ${SW}u;
const FRONT: u32 = ${FRONT}u;
const TOP: u32 = ${TOP}u;
const LEFT: u32 = ${LEFT}u;
