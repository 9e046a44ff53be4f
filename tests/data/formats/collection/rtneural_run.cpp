// rtneural_run MODEL.json < INPUTS: what RTNeural makes of the inputs, which are numbers between spaces, step after step from a state of
// zeros; a line for each step. Built by rtneural_models.py.
#define RTNEURAL_USE_STL 1
#include <RTNeural/RTNeural.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <vector>

int main(int, char** arguments)
{
    std::ifstream file(arguments[1]);
    auto model = RTNeural::json_parser::parseJson<float>(file);
    if (!model)
        return 1;
    model->reset();
    std::vector<float> row(model->getInSize());
    for (;;)
    {
        for (auto& x : row)
            if (!(std::cin >> x))
                return 0;
        model->forward(row.data());
        for (int i = 0; i < model->getOutSize(); i++)
            std::printf("%s%.9g", i ? " " : "", model->getOutputs()[i]);
        std::printf("\n");
    }
}
