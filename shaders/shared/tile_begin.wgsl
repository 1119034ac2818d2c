    let lane_row = lane / ${BN / TN}u;
    let lane_column = lane % ${BN / TN}u;
    var this_a = 0u;
    var this_b = 0u;
#for i in 0..TM
#for g in 0..(TN / 4)
    var s${i}_${g} = vec4<f32>();
#end
#end
