// Settings of parameters, block by block of 64 elements. Twin: src/contract/blocks.rs. A table holds for every group its two numbers
// as bits, then for every block its group. The functions take loaded words.
const BLOCK = 64u;
const SETTINGS = 2u;

// The word that names the group of a block.
fn word_of_block(block: u32, groups: u32) -> u32 {
    return SETTINGS * groups + block;
}

// The first word of a group's settings; a group that is not there is the last.
fn word_of_group(group: u32, groups: u32) -> u32 {
    return SETTINGS * min(group, groups - 1u);
}
