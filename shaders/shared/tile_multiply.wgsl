        let other_a = ${BK * BM / 4}u - this_a;
        let other_b = ${BK * BN / 4}u - this_b;
#for k in 0..BK
        {
#for h in 0..(TM / 4)
            let a${h} = tile_a[this_a + ${k * BM / 4}u + ((${h * BM / TM}u + lane_row) ^ ${SWIZZLE_A * (k % 8) / 7}u)];
#end
#for g in 0..(TN / 4)
            let b${g} = tile_b[this_b + ${k * BN / 4}u + ((${g * BN / TN}u + lane_column) ^ ${SWIZZLE_B * (k % 8) / 7}u)];
#end
#for i in 0..TM
#for g in 0..(TN / 4)
            s${i}_${g} = fma(vec4<f32>(a${i / 4}[${i % 4}]), b${g}, s${i}_${g});
#end
#end
        }
#end
        this_a = other_a;
        this_b = other_b;
