use std::sync::Arc;

use super::{Graph, Init, Var};
use crate::error::Result;
use crate::shape::{Shape, TensorSpec};

impl Graph {
    /// A tensor of these floats, row-major. It lies in an arena of its own, which every graph that holds the same constant shares.
    ///
    /// # Errors
    /// Where the shape holds another number of elements than there are values.
    pub fn constant(&self, shape: impl Into<Shape>, values: impl Into<Arc<[f32]>>) -> Result<Var> {
        let (shape, values) = (shape.into(), values.into());
        // FNV-1a with 64 bits: constants differ in their names as they differ in their values.
        let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let name = format!("constant {shape} {hash:016x}");
        self.state(&name, &name, TensorSpec::f32(shape), Init::Values(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Session};

    #[test]
    fn a_constant_is_what_it_was_made_of_in_every_graph() -> Result<()> {
        let mut session = Session::new(&Device::cpu_with_threads(1)?, 0, None);
        for scale in [1.0, 2.0, 1.0] {
            let graph = Graph::new();
            let values = vec![scale, -0.5 * scale, 3.0];
            let both = [graph.constant([3], values.clone())?, graph.constant([3, 1], [0.0, 1.0, scale])?];
            let run = session.compile(&graph, &[both[0].scale(1.0)?, both[1].scale(1.0)?])?;
            let found = session.run(&run, &[])?;
            assert_eq!(found[0].clone().into_f32()?.into_raw_vec_and_offset().0, values);
            assert_eq!(found[1].clone().into_f32()?.into_raw_vec_and_offset().0, vec![0.0, 1.0, scale]);
        }
        assert!(Graph::new().constant([3], [1.0, 2.0]).is_err());
        Ok(())
    }
}
