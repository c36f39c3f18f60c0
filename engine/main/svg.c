#include "engine/main/svg.h"

void svg_write_escaped(const char *text, FILE *out)
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
    svg_write_escaped(text, out);
    fputs("</text>\n", out);
}
