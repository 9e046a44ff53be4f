// The model and the recording, in flash, aligned for use in place.
    .section .rodata.gestures, "a", %progbits
    .balign 16
    .global gestures, gestures_end
gestures:
    .incbin "gestures.img"
gestures_end:

    .section .rodata.recording, "a", %progbits
    .balign 4
    .global recording, recording_end
recording:
    .incbin "recording.f32"
recording_end:
