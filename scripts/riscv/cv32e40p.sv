// CV32E40P with memory that never waits; reports as in ibex.sv.
module bench (input logic clk_i, input logic rst_ni, output logic done);
  logic [31:0] mem [0:262143];
  initial begin string file; if ($value$plusargs("hex=%s", file)) $readmemh(file, mem); end
  logic fetch, fetched, access, answered, write;
  logic [31:0] fetch_address, instruction, address, written, read;
  logic [3:0] lanes;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin fetched <= 0; answered <= 0; done <= 0; end
    else begin
      fetched <= fetch; instruction <= mem[fetch_address[19:2]];
      answered <= access; if (access && !write) read <= mem[address[19:2]];
      if (access && write && address[31:20] == 12'hfff) begin
        if (address[7:0] == 0) done <= 1; else $display("%0d %0d", address[7:2], written);
      end else if (access && write)
        for (int i = 0; i < 4; i++) if (lanes[i]) mem[address[19:2]][8*i +: 8] <= written[8*i +: 8];
    end
  end
  cv32e40p_top core (
    .clk_i, .rst_ni, .pulp_clock_en_i(1'b1), .scan_cg_en_i(1'b0), .boot_addr_i(32'h80), .mtvec_addr_i('0),
    .dm_halt_addr_i('0), .hart_id_i('0), .dm_exception_addr_i('0),
    .instr_req_o(fetch), .instr_gnt_i(fetch), .instr_rvalid_i(fetched), .instr_addr_o(fetch_address),
    .instr_rdata_i(instruction), .data_req_o(access), .data_gnt_i(access), .data_rvalid_i(answered),
    .data_we_o(write), .data_be_o(lanes), .data_addr_o(address), .data_wdata_o(written), .data_rdata_i(read),
    .irq_i('0), .irq_ack_o(), .irq_id_o(), .debug_req_i(1'b0), .debug_havereset_o(), .debug_running_o(),
    .debug_halted_o(), .fetch_enable_i(1'b1), .core_sleep_o());
endmodule

// Stands for the floating-point unit, which this core is built without.
module cv32e40p_fp_wrapper #(parameter FPU_ADDMUL_LAT = 0, parameter FPU_OTHERS_LAT = 0)
    (input clk_i, input rst_ni, input apu_req_i, output apu_gnt_o, input [95:0] apu_operands_i, input [5:0] apu_op_i,
     input [14:0] apu_flags_i, output apu_rvalid_o, output [31:0] apu_rdata_o, output [4:0] apu_rflags_o);
endmodule
