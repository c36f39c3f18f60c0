/*
 * svg: what the pictures are written with.
 *
 * Threads: pure functions over the stream. Errors are those of the stream.
 */
#ifndef ENGINE_MAIN_SVG_H
#define ENGINE_MAIN_SVG_H

#include <stdio.h>

/* Okabe and Ito's, which can be told apart by all: https://jfly.uni-koeln.de/color/ */
#define SVG_BLUE   "#0072b2"
#define SVG_ORANGE "#d55e00"
#define SVG_GREEN  "#009e73"
#define SVG_GREY   "#999999"

/* The document's beginning: its title, on white. */
void svg_begin(int width, int height, const char *title, FILE *out);
/* What XML does not allow in a text, and what is no ASCII, is replaced; so in the title. */
void svg_write_text(double x, double y, const char *attributes, const char *text, FILE *out);

#endif
