/// How images become samples. Masks are fitted like their images.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    pub(super) channels: Channels,
    pub(super) fit: Fit,
    pub(super) turn: Turn,
    pub(super) floats: bool,
    pub(super) most_bytes: u64,
}

/// Which channels are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Stored,
    Grey,
    Rgb,
}

/// How images get one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They have it already.
    Same,
    Resize {
        height: usize,
        width: usize,
    },
    CropPad {
        height: usize,
        width: usize,
    },
}

/// What is done with an image whose file says that it is to be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Refuse,
    Upright,
    AsStored,
}

impl Default for ImageOptions {
    fn default() -> Self {
        ImageOptions {
            channels: Channels::Stored,
            fit: Fit::Same,
            turn: Turn::Refuse,
            floats: false,
            most_bytes: 512 << 20,
        }
    }
}

impl ImageOptions {
    /// Channels as they are stored (an alpha channel too; palettes become RGB), all images of one size.
    pub fn new() -> Self {
        Self::default()
    }

    /// One channel. Colours become their luma, `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601, as Pillow and Keras have it); alpha is
    /// dropped.
    #[must_use]
    pub fn grey(mut self) -> Self {
        self.channels = Channels::Grey;
        self
    }

    /// Three channels: grey is repeated; alpha is dropped.
    #[must_use]
    pub fn rgb(mut self) -> Self {
        self.channels = Channels::Rgb;
        self
    }

    /// Stretches every image to this size in pixels: linearly, and averaging over all pixels that fall into one where it shrinks (a
    /// triangle filter); masks by their nearest pixel. The aspect ratio is not kept.
    #[must_use]
    pub fn resize(mut self, height: usize, width: usize) -> Self {
        self.fit = Fit::Resize { height, width };
        self
    }

    /// Cuts this size in pixels out of every image's centre; where an image is smaller, zeros surround it (class 0 in masks).
    #[must_use]
    pub fn crop_pad(mut self, height: usize, width: usize) -> Self {
        self.fit = Fit::CropPad { height, width };
        self
    }

    /// Turns and mirrors pixels as their file says (EXIF orientation, TIFF's Orientation), before anything else is done: as an image
    /// viewer shows them, and as `PIL.ImageOps.exif_transpose` gives them. Without this or [`as_stored`](Self::as_stored) an image that
    /// is to be turned is refused.
    #[must_use]
    pub fn upright(mut self) -> Self {
        self.turn = Turn::Upright;
        self
    }

    /// Leaves pixels as they are stored, whatever their file says of how to turn them, as `PIL.Image.open` and Keras do for JPEG files.
    #[must_use]
    pub fn as_stored(mut self) -> Self {
        self.turn = Turn::AsStored;
        self
    }

    /// Floats in 0 to 1 also from 8 bits per channel, so that files of 8 and of 16 bits can be mixed.
    #[must_use]
    pub fn floats(mut self) -> Self {
        self.floats = true;
        self
    }

    /// Refuses images whose pixels take more bytes than this; 512 MiB unless told otherwise.
    #[must_use]
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Height and width of what comes of an image of this height and width.
    pub(super) fn size(&self, stored: (usize, usize)) -> (usize, usize) {
        match self.fit {
            Fit::Same => stored,
            Fit::Resize { height, width } | Fit::CropPad { height, width } => (height, width),
        }
    }
}
