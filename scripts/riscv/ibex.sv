// Ibex with memory that never waits; a store to 0xfff00004 + 4 i reports number i, to 0xfff00000 ends the run.
module bench #(parameter int Mul = 2, parameter bit TargetAlu = 0, parameter bit Writeback = 0)
    (input logic clk_i, input logic rst_ni, output logic done);
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
  ibex_top #(.RV32M(ibex_pkg::rv32m_e'(Mul)), .BranchTargetALU(TargetAlu), .WritebackStage(Writeback)) core (
    .clk_i, .rst_ni, .test_en_i(1'b0), .ram_cfg_i('0), .hart_id_i('0), .boot_addr_i('0),
    .instr_req_o(fetch), .instr_gnt_i(fetch), .instr_rvalid_i(fetched), .instr_addr_o(fetch_address),
    .instr_rdata_i(instruction), .instr_rdata_intg_i('0), .instr_err_i(1'b0),
    .data_req_o(access), .data_gnt_i(access), .data_rvalid_i(answered), .data_we_o(write), .data_be_o(lanes),
    .data_addr_o(address), .data_wdata_o(written), .data_wdata_intg_o(), .data_rdata_i(read),
    .data_rdata_intg_i('0), .data_err_i(1'b0),
    .irq_software_i(1'b0), .irq_timer_i(1'b0), .irq_external_i(1'b0), .irq_fast_i('0), .irq_nm_i(1'b0),
    .scramble_key_valid_i(1'b0), .scramble_key_i('0), .scramble_nonce_i('0), .scramble_req_o(),
    .debug_req_i(1'b0), .crash_dump_o(), .double_fault_seen_o(), .fetch_enable_i(ibex_pkg::IbexMuBiOn),
    .alert_minor_o(), .alert_major_internal_o(), .alert_major_bus_o(), .core_sleep_o(), .scan_rst_ni(1'b1));
endmodule
