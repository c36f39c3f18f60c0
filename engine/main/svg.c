#include "engine/main/svg.h"

static void write_escaped(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '&')
            fputs("&amp;", out);
        else if (byte == '<')
            fputs("&lt;", out);
        else if (byte == '>')
            fputs("&gt;", out);
        else
            fputc(byte < ' ' || byte >= 127 ? '?' : byte, out);
    }
}

void svg_write_text(double x, double y, const char *attributes, const char *text, FILE *out)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    write_escaped(text, out);
    fputs("</text>\n", out);
}

void svg_begin(int width, int height, const char *title, FILE *out)
{
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" role=\"img\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" "
            "fill=\"#222\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n<title>",
            width, height, width, height);
    write_escaped(title, out);
    fprintf(out, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height);
    svg_write_text(12, 26, "font-size=\"18\" font-weight=\"bold\"", title, out);
}
